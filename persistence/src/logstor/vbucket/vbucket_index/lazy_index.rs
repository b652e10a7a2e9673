//! The lazy index: the state of a vBucket when the store was opened, while it is not in memory.
//!
//! It consists of the image's section and the records that were scanned beyond the image. It
//! answers a get with one read, and produces all slots when the vBucket is loaded.
//!
//! # Invariants
//!
//! - It never changes, and it holds every segment its records are in. So a holder can read every
//!   record it locates (L33), and no such segment is freed (L23).
//! - A get returns what loading would make of the key: both use the same merge, of the one row the
//!   image has of the key and of its scanned records (L38).
//! - If rows of the image turn out to be damaged, the segments they cover are read instead, for all
//!   keys.

use crate::logstor::hash_key::HashKey;
use std::collections::BTreeSet;
use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;

use super::image_coverage::ImageCoverage;
use super::log_tail::LogTail;
use crate::contract::EngineError;
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint, ScannedFrame, to_u64, to_usize};
use crate::logstor::index::Slot;
use crate::logstor::index_image::{
    CoveredSegment, ImageRow, ImageSection, RowMerge, SegmentContents, sort_for_merge,
};
use crate::logstor::log::{
    Lineage, ScannedRecord, ScannedSegment, ScannedState, Segment, SegmentUses, StoreContext,
    high_seqnos_of, scan_large_record, scan_segment,
};

/// The lazy index of a vBucket.
#[derive(Debug)]
pub(in crate::logstor) struct LazyIndex {
    coverage: Option<Arc<ImageCoverage>>,
    vb: u16,
    lineage: Lineage,
    /// The image covers records of the vBucket and has no section for it.
    is_section_missing: bool,
    /// Records that the image does not cover.
    log_tail: LogTail,
    hash_key: HashKey,
}

/// Result of a lookup.
#[derive(Debug)]
pub(in crate::logstor) enum Lookup {
    /// The key's newest record, and its segment, held so that it can be read.
    Found(Slot, Arc<Segment>),
    Absent,
    /// Only loading the vBucket can tell.
    Unknown,
}

impl LazyIndex {
    /// `scanned` are the records that the image does not cover, in segments of `uses`.
    pub(in crate::logstor) fn new(
        coverage: Option<Arc<ImageCoverage>>,
        vb: u16,
        lineage: Lineage,
        scanned: Vec<ScannedRecord>,
        uses: &SegmentUses,
        hash_key: HashKey,
    ) -> Self {
        let log_tail = LogTail::new(scanned, uses);
        let mut lazy = Self {
            coverage,
            vb,
            lineage,
            is_section_missing: false,
            log_tail,
            hash_key,
        };
        lazy.is_section_missing = lazy.section().is_none() && lazy.covered_uses().next().is_some();
        lazy
    }

    /// Returns the image's section, unless the vBucket was rolled back since.
    fn section(&self) -> Option<(&ImageCoverage, &ImageSection)> {
        let coverage = self.coverage.as_deref()?;
        let section = coverage.image.directory.section(self.vb)?;
        (section.lineage == self.lineage).then_some((coverage, section))
    }

    /// Returns covered uses with records of the vBucket.
    fn covered_uses(&self) -> impl Iterator<Item = (&Arc<Segment>, &CoveredSegment)> {
        let coverage = self
            .coverage
            .iter()
            .flat_map(|coverage| coverage.current.values());
        let is_in = |covered: &CoveredSegment| {
            self.lineage
                .epochs()
                .any(|epoch| covered.epochs.binary_search(&epoch).is_ok())
        };
        coverage
            .filter(move |(_, covered)| is_in(covered))
            .map(|(segment, covered)| (segment, covered))
    }

    /// Looks up a key: one read at most.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn find(&self, of: Fingerprint) -> Result<Lookup, EngineError> {
        if self.is_section_missing {
            return Ok(Lookup::Unknown);
        }
        let row = self.section().map_or(Ok(None), |(coverage, section)| {
            coverage.image.row(section, of)
        });
        let row = match row {
            Err(EngineError::Corrupt { .. }) => return Ok(Lookup::Unknown),
            row => row?,
        };
        let scanned = self.log_tail.of_key(of);
        Ok(
            match RowMerge::new(row, &scanned, |segment| self.is_current(segment)).next() {
                None => Lookup::Absent,
                Some(Err(_mismatch)) => Lookup::Unknown,
                Some(Ok(row)) => match self.segment(row.at.segment) {
                    Some(segment) => Lookup::Found(slot(&row), segment),
                    None => Lookup::Unknown,
                },
            },
        )
    }

    fn is_current(&self, segment: u32) -> bool {
        self.coverage
            .as_ref()
            .is_some_and(|coverage| coverage.is_current(segment))
    }

    fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        let coverage = self
            .coverage
            .as_ref()
            .and_then(|coverage| coverage.current.get(&id));
        coverage
            .map(|(segment, _)| segment)
            .or_else(|| self.log_tail.held().get(&id))
            .cloned()
    }

    /// Returns the newest state that the image covers, if its record is still there.
    ///
    /// # Errors
    /// Same as [`LazyIndex::load`] if the image has no section of the vBucket: it was made during
    /// the vBucket's import.
    pub(in crate::logstor) fn state(&self) -> Result<Option<ScannedState>, EngineError> {
        let Some((coverage, section)) = self.section() else {
            return self.scanned_state();
        };
        let state = section
            .state
            .as_ref()
            .filter(|state| coverage.is_current(state.at.segment));
        Ok(state.map(|state| ScannedState {
            epoch: self.lineage.epoch(),
            revision: state.revision,
            high: state.high,
            at: state.at,
            bytes: state.bytes.clone(),
            append_seqno: state.append_seqno,
        }))
    }

    fn scanned_state(&self) -> Result<Option<ScannedState>, EngineError> {
        let epoch = self.lineage.epoch();
        let mut newest: Option<ScannedState> = None;
        for (segment, covered) in self.covered_uses() {
            let is_large = matches!(covered.contents, SegmentContents::Large(_));
            if is_large || covered.epochs.binary_search(&epoch).is_err() {
                continue;
            }
            let states = self.covered(segment, covered)?.states.into_iter();
            for state in states.filter(|state| state.epoch == epoch) {
                if newest
                    .as_ref()
                    .is_none_or(|coverage| state.is_after(coverage))
                {
                    newest = Some(state);
                }
            }
        }
        Ok(newest)
    }

    /// Returns the segments with records of the vBucket.
    pub(in crate::logstor) fn segments(&self) -> BTreeSet<u32> {
        self.covered_uses()
            .map(|(segment, _)| segment.id)
            .chain(self.log_tail.held().keys().copied())
            .collect()
    }

    /// Returns every key's newest record, ascending by seqno, with the number of its other records.
    /// And the highest seqno of each collection.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if image and log are damaged.
    pub(super) fn load(
        &self,
        context: &StoreContext,
    ) -> Result<(Vec<Slot>, CollectionHighSeqnos), EngineError> {
        let scanned = self.log_tail.sorted();
        let (mut slots, high_seqnos) = match self.image_slots(&scanned, context)? {
            Some(slots) => (slots, self.image_high_seqnos(&scanned)),
            None => {
                let scanned = self.scan_covered(scanned)?;
                (slots_of(&scanned, context)?, high_seqnos_of(&scanned))
            }
        };
        slots.sort_unstable_by_key(|slot| slot.seqno);
        Ok((slots, high_seqnos))
    }

    /// Returns the highest seqnos of the image and of the records scanned beyond it.
    fn image_high_seqnos(&self, scanned: &[ScannedRecord]) -> CollectionHighSeqnos {
        let mut high_seqnos = high_seqnos_of(scanned);
        self.section()
            .iter()
            .for_each(|(_, section)| high_seqnos.merge(&section.high_seqnos));
        high_seqnos
    }

    /// Returns the slots by the image; `None` if its rows are damaged, or not all there.
    fn image_slots(
        &self,
        mut scanned: &[ScannedRecord],
        context: &StoreContext,
    ) -> Result<Option<Vec<Slot>>, EngineError> {
        let Some((coverage, section)) = self.section() else {
            return Ok(None);
        };
        let mut slots = Vec::with_capacity(scanned.len());
        let mut before = None;
        let mut rows_read = 0;
        for block in &section.blocks {
            let rows = match coverage.image.rows(block) {
                Err(EngineError::Corrupt { .. }) => return Ok(None),
                rows => rows?,
            };
            let ascends = rows
                .first()
                .is_some_and(|first| before < Some(first.fingerprint));
            if !ascends {
                return Ok(None);
            }
            before = Some(block.last);
            rows_read += to_u64(rows.len());
            let upto = scanned.partition_point(|item| item.fingerprint <= block.last);
            let (here, rest) = scanned.split_at(upto);
            scanned = rest;
            for row in RowMerge::new(rows, here, |segment| self.is_current(segment)) {
                let Ok(row) = row else { return Ok(None) };
                slots.push(slot(&row));
            }
        }
        if rows_read != section.rows {
            return Ok(None);
        }
        slots.extend(slots_of(scanned, context)?);
        Ok(Some(slots))
    }

    /// Adds the covered records to the scanned ones. Without an image all are scanned already.
    fn scan_covered(
        &self,
        mut scanned: Vec<ScannedRecord>,
    ) -> Result<Vec<ScannedRecord>, EngineError> {
        for (segment, covered) in self.covered_uses() {
            scanned.extend(self.covered_records(segment, covered)?);
        }
        sort_for_merge(&mut scanned);
        Ok(scanned)
    }

    fn covered_records(
        &self,
        segment: &Segment,
        covered: &CoveredSegment,
    ) -> Result<Vec<ScannedRecord>, EngineError> {
        let mut records = match covered.contents {
            SegmentContents::Large(fragment) if fragment.index > 0 => Vec::new(),
            SegmentContents::Large(fragment) => vec![scan_large_record(
                segment,
                fragment.append_seqno,
                self.hash_key,
            )?],
            SegmentContents::Commits | SegmentContents::Moved => {
                self.covered(segment, covered)?.records
            }
        };
        records.retain(|record| self.lineage.contains(record.epoch, record.seqno));
        Ok(records)
    }

    /// Scans the covered part of a segment.
    fn covered(
        &self,
        segment: &Segment,
        covered: &CoveredSegment,
    ) -> Result<ScannedSegment, EngineError> {
        let bytes = segment.read(0, to_usize(covered.bytes))?;
        let read = scan_segment(segment, &bytes, self.hash_key, None, |_| None)?;
        let end = read.frames.last().map_or(0, ScannedFrame::end);
        let is_ours = |frame: &&ScannedFrame| {
            let epochs = frame.header.epochs();
            epochs.is_none_or(|epochs| self.lineage.epochs().any(|epoch| epochs.contains(&epoch)))
        };
        let mut damaged = read.frames.iter().filter(|frame| !frame.is_whole);
        let damaged = damaged.find(is_ours).map(|frame| frame.offset);
        match damaged.or((end != covered.bytes).then_some(end)) {
            Some(at) => Err(segment.corrupt(at, "a frame that was acknowledged is damaged")),
            None => Ok(read),
        }
    }
}

/// Returns the slots of scanned records.
///
/// # Errors
/// [`EngineError::Internal`] if a key has records and none of them wins.
fn slots_of(scanned: &[ScannedRecord], context: &StoreContext) -> Result<Vec<Slot>, EngineError> {
    RowMerge::new([], scanned, |_| false)
        .map(|row| {
            let row = row
                .ok()
                .invariant("L20", "records alone contradict no image")
                .map_err(|violation| context.internal(violation))?;
            Ok(slot(&row))
        })
        .collect()
}

fn slot(row: &ImageRow) -> Slot {
    let mut slot = Slot::new(row.fingerprint, row.seqno, row.at, row.tombstone);
    let others: u64 = row.others.iter().map(|run| u64::from(run.records)).sum();
    slot.other_copies = u16::try_from(others).unwrap_or(u16::MAX);
    slot
}

//! The survey of a log: the probed segments are combined, and sorted into what is certain and what
//! is in doubt.
//!
//! # Invariants
//!
//! Damage harms the vBuckets whose records it may have taken, and no others (L24). Those vBuckets
//! exist, answer every request with the damage, and can be dropped. The harmed vBuckets are known:
//!
//! - for a frame with a sound header, from its epochs. That is exact if all its records belong to
//!   one vBucket, as in segments that rewriting wrote for one. In a group commit's frame, vBuckets
//!   with an epoch in between count, too;
//! - for a large record whose first fragment is sound, from the epoch in that fragment;
//! - for a record above its vBucket's high seqno, from its epoch: the newest state is lost;
//! - for rows of an index image that are damaged together with the log, from their section.
//!
//! Where a header is damaged and frames follow, the harmed vBuckets are unknown: the store does not
//! open.
//!
//! Segments that hold records of an unreadable vBucket are quarantined: they are neither rewritten
//! nor freed before the vBucket is dropped, because it is unknown which of its records are needed
//! (L25).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::segment_probe::ProbedSegment;
use crate::contract::EngineError;
use crate::failure::Damage;
use crate::logstor::format::{
    FIXED_BYTES, FrameHeader, HEADER_BYTES, ScannedFrame, epoch_of, to_usize,
};
use crate::logstor::index_image::{CoveredSegment, ImageDirectory, SegmentContents, StateRow};
use crate::logstor::log::{
    Catalog, LogFile, RetiredTail, ScannedRecord, ScannedState, Segment, StoreContext,
};

/// A segment in use.
#[derive(Debug)]
pub(super) struct UsedSegment {
    pub(super) segment: Arc<Segment>,
    /// The part that the image covers, if its use goes on.
    pub(super) covered: Option<CoveredSegment>,
    /// Frames that the image does not cover.
    pub(super) frames: Vec<ScannedFrame>,
}

/// Damage to records of some epochs.
#[derive(Debug)]
pub(super) struct Harm {
    pub(super) segment: u32,
    pub(super) epochs: RangeInclusive<u32>,
    pub(super) damage: Damage,
}

#[derive(Debug, Default)]
pub(super) struct LogSurvey {
    pub(super) used: BTreeMap<u32, UsedSegment>,
    free: Vec<(Segment, FrameHeader)>,
    pub(super) records: Vec<ScannedRecord>,
    pub(super) states: Vec<ScannedState>,
    generation_max: u64,
    append_seqno_max: u64,
    /// Appends up to this one are not in doubt.
    settled: u64,
    /// Appends above it of which a part is missing or torn.
    incomplete: BTreeSet<u64>,
    /// Damage to acknowledged records whose epochs are known.
    pub(super) harms: Vec<Harm>,
    segments: u64,
    /// Segments of which more than the first block was read.
    segments_read: u64,
    /// Bytes of the frames that were scanned.
    pub(super) scanned_bytes: u64,
}

impl LogSurvey {
    /// Combines the probed segments.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if an acknowledged frame is damaged and its epochs are unknown.
    pub(super) fn of(
        probed: Vec<ProbedSegment>,
        image: Option<&ImageDirectory>,
    ) -> Result<Self, EngineError> {
        let mut survey = Self::default();
        if let Some(image) = image {
            // Covered appends were settled when the image was made.
            survey.settled = image.append_seqno;
            survey.generation_max = image.next_generation.saturating_sub(1);
        }
        for segment in probed {
            let covered = image
                .and_then(|image| image.covered(segment.segment.id))
                .cloned();
            survey.take(segment, covered);
        }
        survey.judge()?;
        survey.forget_incomplete();
        Ok(survey)
    }

    fn take(&mut self, probed: ProbedSegment, covered: Option<CoveredSegment>) {
        let ProbedSegment {
            segment,
            is_covered,
            mut scanned,
            is_read,
        } = probed;
        self.segments += 1;
        self.segments_read += u64::from(is_read);
        self.scanned_bytes += scanned
            .frames
            .iter()
            .map(|frame| u64::from(frame.header.frame_bytes()))
            .sum::<u64>();
        let Some(generation) = scanned.generation else {
            return;
        };
        self.generation_max = self.generation_max.max(generation);
        for header in scanned
            .frames
            .iter()
            .map(|frame| &frame.header)
            .chain(&scanned.free)
        {
            self.append_seqno_max = self.append_seqno_max.max(header.append_seqno);
            self.settled = self.settled.max(header.settled);
        }
        if let Some(header) = scanned.free {
            self.free.push((segment, header));
            return;
        }
        self.records.append(&mut scanned.records);
        self.states.append(&mut scanned.states);
        let covered = covered.filter(|_| is_covered);
        self.used.insert(
            segment.id,
            UsedSegment {
                segment: Arc::new(segment),
                covered,
                frames: scanned.frames,
            },
        );
    }

    /// Determines which appends are whole. Damage whose epochs are unknown is an error.
    fn judge(&mut self) -> Result<(), EngineError> {
        // Of appends in doubt: whole frames, and all frames.
        let mut whole: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        let mut harms = Vec::new();
        for used in self.used.values() {
            for frame in &used.frames {
                let number = frame.header.append_seqno;
                if number > self.settled {
                    let (count, parts) = whole.entry(number).or_default();
                    *count += u32::from(frame.is_whole);
                    *parts = frame.header.parts;
                } else if !frame.is_whole {
                    let error = used
                        .segment
                        .corrupt(frame.offset, "a frame that was acknowledged is damaged");
                    let Some(epochs) = self.epochs_of(&frame.header)? else {
                        return Err(error);
                    };
                    harms.push(Harm {
                        segment: used.segment.id,
                        epochs,
                        damage: Damage::of(error)?,
                    });
                }
            }
        }
        self.harms = harms;
        let incomplete = whole
            .into_iter()
            .filter(|(_, (count, parts))| count != parts);
        self.incomplete = incomplete.map(|(number, _)| number).collect();
        for used in self.used.values() {
            let mut before_last = used.frames.iter().rev().skip(1);
            // A later frame in the same segment was written when the append was whole.
            if let Some(frame) =
                before_last.find(|frame| self.incomplete.contains(&frame.header.append_seqno))
            {
                return Err(used
                    .segment
                    .corrupt(frame.offset, "a part of what was acknowledged is missing"));
            }
        }
        Ok(())
    }

    /// Returns the epochs that a frame's records may have, from its header. For a fragment of a
    /// large record, from the first fragment.
    fn epochs_of(&self, header: &FrameHeader) -> Result<Option<RangeInclusive<u32>>, EngineError> {
        let Some(fragment) = header.fragment() else {
            return Ok(header.epochs());
        };
        let is_first = |frame: &&ScannedFrame| {
            let first = &frame.header;
            frame.is_whole
                && first.append_seqno == header.append_seqno
                && first.part.checked_add(fragment.index) == Some(header.part)
                && first.fragment().is_some_and(|first| first.index == 0)
        };
        let first = self
            .used
            .values()
            .find(|used| used.frames.first().is_some_and(|frame| is_first(&frame)));
        let Some(first) = first else { return Ok(None) };
        let record = first.segment.read(HEADER_BYTES, FIXED_BYTES)?;
        let epoch = epoch_of(&record).filter(|epoch| *epoch > 0);
        Ok(epoch.map(|epoch| epoch..=epoch))
    }

    /// Returns whether a segment has damage.
    pub(super) fn is_harmed(&self, segment: u32) -> bool {
        self.harms.iter().any(|harm| harm.segment == segment)
    }

    fn forget_incomplete(&mut self) {
        let incomplete = &self.incomplete;
        self.records
            .retain(|record| !incomplete.contains(&record.append_seqno));
        self.states
            .retain(|state| !incomplete.contains(&state.append_seqno));
    }

    /// Returns the tails to be cut off.
    pub(super) fn torn(&self) -> Vec<RetiredTail> {
        let torn = |used: &UsedSegment| {
            let last = used
                .frames
                .last()
                .filter(|last| self.incomplete.contains(&last.header.append_seqno))?;
            Some(RetiredTail {
                segment: used.segment.id,
                generation: used.segment.generation,
                bytes: last.offset,
            })
        };
        self.used.values().filter_map(torn).collect()
    }

    /// Returns the frames of a segment that count, without those that the image covers.
    fn sound<'a>(&'a self, used: &'a UsedSegment) -> impl Iterator<Item = &'a ScannedFrame> {
        used.frames
            .iter()
            .filter(|frame| !self.incomplete.contains(&frame.header.append_seqno))
    }

    /// Returns the end of the frames that count in a segment; 0 if none does.
    pub(super) fn end(&self, used: &UsedSegment) -> u32 {
        let last = self.sound(used).last().map(ScannedFrame::end);
        last.or(used.covered.as_ref().map(|covered| covered.bytes))
            .unwrap_or(0)
    }

    /// Returns the contents of a segment; `None` if nothing in it counts.
    pub(super) fn contents(&self, used: &UsedSegment) -> Option<SegmentContents> {
        if let Some(covered) = &used.covered {
            return Some(covered.contents);
        }
        self.sound(used)
            .next()
            .map(|frame| SegmentContents::of(&frame.header))
    }

    /// Writes whole appends that are in doubt again, and syncs them.
    pub(super) fn confirm(&self, context: &StoreContext) -> Result<(), EngineError> {
        let mut touched: BTreeMap<&Path, &LogFile> = BTreeMap::new();
        for used in self.used.values() {
            for frame in self
                .sound(used)
                .filter(|frame| frame.header.append_seqno > self.settled)
            {
                let bytes = used
                    .segment
                    .read(frame.offset, to_usize(frame.header.frame_bytes()))?;
                let at = used.segment.base + u64::from(frame.offset);
                used.segment.file.file.write_at(&[&bytes], at)?;
                touched.insert(&used.segment.file.path, &used.segment.file);
            }
        }
        // A free segment whose header is lost by a power failure would bring back its records.
        for (segment, header) in self
            .free
            .iter()
            .filter(|(_, header)| header.append_seqno > self.settled)
        {
            segment.write_free(header, context.hash_key)?;
            touched.insert(&segment.file.path, &segment.file);
        }
        for (path, file) in touched {
            context.sync(&*file.file, path)?;
        }
        Ok(())
    }

    /// Returns whether the states of an image are consistent with the log: each is where it was, or
    /// there is a later one.
    pub(super) fn is_consistent_with(&self, image: &ImageDirectory, catalog: &Catalog) -> bool {
        let epochs: BTreeSet<u32> = self.states.iter().map(|state| state.epoch).collect();
        image.sections.iter().all(|section| {
            let is_used = catalog
                .vbuckets
                .get(&section.vb)
                .is_some_and(|entry| entry.lineage == section.lineage);
            let is_there = |state: &StateRow| {
                self.is_current(state.at.segment) || epochs.contains(&section.lineage.epoch())
            };
            !is_used || section.state.as_ref().is_none_or(is_there)
        })
    }

    /// Returns a description, for reports.
    pub(super) fn summary(&self) -> String {
        format!(
            "read {} of {} segments, {} records",
            self.segments_read,
            self.segments,
            self.records.len()
        )
    }

    pub(super) fn generation_of(&self, segment: u32) -> Option<u64> {
        self.used.get(&segment).map(|used| used.segment.generation)
    }

    /// Returns whether the covered use of a segment goes on.
    fn is_current(&self, segment: u32) -> bool {
        self.used
            .get(&segment)
            .is_some_and(|used| used.covered.is_some())
    }

    /// Returns the lowest generation above all used ones; `None` if none is left.
    pub(super) fn next_generation(&self) -> Option<u64> {
        self.generation_max.checked_add(1)
    }

    /// Returns the number of the next append; `None` if none is left.
    pub(super) fn next_append_seqno(&self) -> Option<u64> {
        self.append_seqno_max.max(self.settled).checked_add(1)
    }
}

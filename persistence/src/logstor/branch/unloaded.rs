//! What a branch was when the store was opened, while that is not in memory: the image's section of it and what was found
//! beside the image go in; one key's record, or all keys' slots, come out.
//!
//! What always holds:
//!
//! - It never changes, and it holds every segment its records are in: whoever has it can read what it names (L33), and no
//!   such segment is freed (L23).
//! - A key's record is what loading would make of that key, because it comes out of the same merge, of the one row the image
//!   has of it and of what was found of it (L38).
//! - If the image's rows turn out to be damaged, the segments they speak of are read instead: for all keys together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tail::Tail;
use crate::contract::EngineError;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::found::{self, Found, FoundItem, FoundState};
use crate::logstor::highs::CollectionHighs;
use crate::logstor::image::{Contents, Covered, Image, Merge, Row, Section, sort};
use crate::logstor::index::Slot;
use crate::logstor::manifest::Lineage;
use crate::logstor::scan::Frame;
use crate::logstor::segment::Segment;
use crate::logstor::segments::Table;

/// An image, and which of the uses it covers were not over when the store was opened.
#[derive(Debug)]
pub(in crate::logstor) struct Known {
    image: Arc<Image>,
    current: BTreeMap<u32, (Arc<Segment>, Covered)>,
    /// The same by segment: each row asks.
    is_current: Vec<bool>,
}

impl Known {
    pub(in crate::logstor) fn new(
        image: Arc<Image>,
        current: BTreeMap<u32, (Arc<Segment>, Covered)>,
    ) -> Self {
        let mut is_current = vec![
            false;
            current
                .last_key_value()
                .map_or(0, |(&last, _)| last as usize + 1)
        ];
        for &id in current.keys() {
            if let Some(is_current) = is_current.get_mut(id as usize) {
                *is_current = true;
            }
        }
        Self {
            image,
            current,
            is_current,
        }
    }

    fn is_current(&self, segment: u32) -> bool {
        self.is_current
            .get(segment as usize)
            .copied()
            .unwrap_or(false)
    }
}

/// Where a branch's index comes from.
#[derive(Debug)]
pub(in crate::logstor) struct Unloaded {
    known: Option<Arc<Known>>,
    vb: u16,
    lineage: Lineage,
    /// The image covers records of the vBucket and has no section that says which of them count.
    is_unsaid: bool,
    /// What the image does not cover.
    tail: Tail,
    hash_key: [u64; 2],
}

/// What is known of a key.
#[derive(Debug)]
pub(in crate::logstor) enum Lookup {
    /// Its record, and the segment that is in, held so that it can be read.
    Found(Slot, Arc<Segment>),
    Absent,
    /// Only loading everything can tell.
    Unknown,
}

impl Unloaded {
    /// `found` is what the image does not cover, in segments of the table.
    pub(in crate::logstor) fn new(
        known: Option<Arc<Known>>,
        vb: u16,
        lineage: Lineage,
        found: Vec<FoundItem>,
        table: &Table,
        hash_key: [u64; 2],
    ) -> Self {
        let tail = Tail::new(found, table);
        let mut unloaded = Self {
            known,
            vb,
            lineage,
            is_unsaid: false,
            tail,
            hash_key,
        };
        unloaded.is_unsaid = unloaded.section().is_none() && unloaded.covering().next().is_some();
        unloaded
    }

    /// What the image says of the vBucket, unless it was rolled back since.
    fn section(&self) -> Option<(&Known, &Section)> {
        let known = self.known.as_deref()?;
        let section = known.image.directory.section(self.vb)?;
        (section.lineage == self.lineage).then_some((known, section))
    }

    /// What the image covers of segments that hold records of it.
    fn covering(&self) -> impl Iterator<Item = (&Arc<Segment>, &Covered)> {
        let known = self.known.iter().flat_map(|known| known.current.values());
        let is_in = |covered: &Covered| {
            self.lineage
                .epochs()
                .any(|epoch| covered.epochs.binary_search(&epoch).is_ok())
        };
        known
            .filter(move |(_, covered)| is_in(covered))
            .map(|(segment, covered)| (segment, covered))
    }

    /// A key's record: one read at most.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn find(&self, of: Fingerprint) -> Result<Lookup, EngineError> {
        if self.is_unsaid {
            return Ok(Lookup::Unknown);
        }
        let row = self
            .section()
            .map_or(Ok(None), |(known, section)| known.image.row(section, of));
        let row = match row {
            Err(EngineError::Corrupt { .. }) => return Ok(Lookup::Unknown),
            row => row?,
        };
        let found = self.tail.of_key(of);
        Ok(
            match Merge::new(row, &found, |segment| self.is_current(segment)).next() {
                None => Lookup::Absent,
                Some(Err(_untrue)) => Lookup::Unknown,
                Some(Ok(row)) => match self.segment(row.at.segment) {
                    Some(segment) => Lookup::Found(slot(&row), segment),
                    None => Lookup::Unknown,
                },
            },
        )
    }

    fn is_current(&self, segment: u32) -> bool {
        self.known
            .as_ref()
            .is_some_and(|known| known.is_current(segment))
    }

    fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        let known = self.known.as_ref().and_then(|known| known.current.get(&id));
        known
            .map(|(segment, _)| segment)
            .or_else(|| self.tail.held().get(&id))
            .cloned()
    }

    /// The newest state in what the image covers, if its record is still there.
    ///
    /// # Errors
    /// As for slots, if the image has no section of the vBucket: it was made while that was being imported.
    pub(in crate::logstor) fn state(&self) -> Result<Option<FoundState>, EngineError> {
        let Some((known, section)) = self.section() else {
            return self.scanned_state();
        };
        let state = section
            .state
            .as_ref()
            .filter(|state| known.is_current(state.at.segment));
        Ok(state.map(|state| FoundState {
            epoch: self.lineage.epoch(),
            revision: state.revision,
            high: state.high,
            at: state.at,
            bytes: state.bytes.clone(),
            number: state.number,
        }))
    }

    fn scanned_state(&self) -> Result<Option<FoundState>, EngineError> {
        let epoch = self.lineage.epoch();
        let mut newest: Option<FoundState> = None;
        for (segment, covered) in self.covering() {
            let is_large = matches!(covered.contents, Contents::Large(_));
            if is_large || covered.epochs.binary_search(&epoch).is_err() {
                continue;
            }
            let states = self.covered(segment, covered)?.states.into_iter();
            for state in states.filter(|state| state.epoch == epoch) {
                if newest.as_ref().is_none_or(|known| state.is_after(known)) {
                    newest = Some(state);
                }
            }
        }
        Ok(newest)
    }

    /// The segments that hold records of it.
    pub(in crate::logstor) fn segments(&self) -> BTreeSet<u32> {
        self.covering()
            .map(|(segment, _)| segment.id)
            .chain(self.tail.held().keys().copied())
            .collect()
    }

    /// Every key's newest record, ascending by seqno, where others are counted; and how far the collections have come.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if image and log are damaged.
    pub(super) fn contents(&self) -> Result<(Vec<Slot>, CollectionHighs), EngineError> {
        let found = self.tail.sorted();
        let (mut slots, highs) = match self.known_slots(&found)? {
            Some(slots) => (slots, self.known_highs(&found)),
            None => {
                let found = self.scanned(found)?;
                (slots_of(&found), found::highs(&found))
            }
        };
        slots.sort_unstable_by_key(|slot| slot.seqno);
        Ok((slots, highs))
    }

    /// What the image knows of the same history, and what came since.
    fn known_highs(&self, found: &[FoundItem]) -> CollectionHighs {
        let mut highs = found::highs(found);
        self.section()
            .iter()
            .for_each(|(_, section)| highs.merge(&section.highs));
        highs
    }

    /// `None` if the image can't be relied on.
    fn known_slots(&self, mut found: &[FoundItem]) -> Result<Option<Vec<Slot>>, EngineError> {
        let Some((known, section)) = self.section() else {
            return Ok(None);
        };
        let mut slots = Vec::with_capacity(found.len());
        let mut before = None;
        for block in &section.blocks {
            let rows = match known.image.rows(block) {
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
            let upto = found.partition_point(|item| item.fingerprint <= block.last);
            let (here, rest) = found.split_at(upto);
            found = rest;
            for row in Merge::new(rows, here, |segment| self.is_current(segment)) {
                let Ok(row) = row else { return Ok(None) };
                slots.push(slot(&row));
            }
        }
        slots.extend(
            Merge::new([], found, |_| false)
                .flatten()
                .map(|row| slot(&row)),
        );
        Ok(Some(slots))
    }

    /// The records themselves. Without an image they are all found already.
    fn scanned(&self, mut found: Vec<FoundItem>) -> Result<Vec<FoundItem>, EngineError> {
        for (segment, covered) in self.covering() {
            found.extend(self.covered_items(segment, covered)?);
        }
        sort(&mut found);
        Ok(found)
    }

    fn covered_items(
        &self,
        segment: &Segment,
        covered: &Covered,
    ) -> Result<Vec<FoundItem>, EngineError> {
        let mut items = match covered.contents {
            Contents::Large(piece) if piece.piece > 0 => Vec::new(),
            Contents::Large(piece) => {
                vec![found::large(
                    segment,
                    piece.pieces,
                    piece.number,
                    self.hash_key,
                )?]
            }
            Contents::Commits | Contents::Moved => self.covered(segment, covered)?.items,
        };
        items.retain(|item| self.lineage.contains(item.epoch, item.seqno));
        Ok(items)
    }

    /// What the image covers of a segment, read again.
    fn covered(&self, segment: &Segment, covered: &Covered) -> Result<Found, EngineError> {
        let bytes = segment.read(0, covered.bytes as usize)?;
        let read = found::in_segment(segment, &bytes, self.hash_key, None, |_| None)?;
        let end = read.frames.last().map_or(0, Frame::end);
        let is_ours = |frame: &&Frame| {
            let told = frame.header.epochs();
            told.is_none_or(|told| self.lineage.epochs().any(|epoch| told.contains(&epoch)))
        };
        let mut damaged = read.frames.iter().filter(|frame| !frame.is_whole);
        let damaged = damaged.find(is_ours).map(|frame| frame.offset);
        match damaged.or((end != covered.bytes).then_some(end)) {
            Some(at) => Err(segment.corrupt(at, "a frame that was acknowledged is damaged")),
            None => Ok(read),
        }
    }
}

/// Of all records.
fn slots_of(found: &[FoundItem]) -> Vec<Slot> {
    // Without an image nothing can be untrue.
    Merge::new([], found, |_| false)
        .filter_map(Result::ok)
        .map(|row| slot(&row))
        .collect()
}

fn slot(row: &Row) -> Slot {
    let mut slot = Slot::new(row.fingerprint, row.seqno, row.at, row.tombstone);
    let others: u64 = row.others.iter().map(|run| u64::from(run.records)).sum();
    slot.stale = u16::try_from(others).unwrap_or(u16::MAX);
    slot
}

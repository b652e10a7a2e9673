//! A branch as it is when the store was opened: its index comes into memory when it is first needed, from the image and
//! from what was found beside it.
//!
//! Always (L23): a branch that is not loaded was neither read nor written, and no segment is freed before every branch is
//! loaded; so whenever it is loaded, the index is the one it would have been when the store was opened. If the image's rows
//! turn out to be damaged, the segments they speak of are read instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Branch;
use crate::EngineError;
use crate::logstor::damage::Damage;
use crate::logstor::found::{self, Found, FoundItem, FoundState};
use crate::logstor::highs::CollectionHighs;
use crate::logstor::image::{Contents, Covered, Image, Merge, Row, Section, sort};
use crate::logstor::index::{Live, Slot};
use crate::logstor::manifest::Lineage;
use crate::logstor::scan::Frame;
use crate::logstor::segment::Segment;

impl Branch {
    /// Brings its index into memory, if it is not there. Whoever reads or writes the branch has done that. If it turns out
    /// that it can't be read, `set_aside` is told of its segments first.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it is not loaded then; [`EngineError::Corrupt`]: it will never be.
    pub(in crate::logstor) fn load(&self, set_aside: impl FnOnce(BTreeSet<u32>)) -> Result<(), EngineError> {
        if self.is_loaded() {
            return Ok(());
        }
        let mut unloaded = self.unloaded.lock();
        if let Some(damage) = self.damage() {
            return Err(damage.error());
        }
        let Some(from) = &*unloaded else { return Ok(()) };
        let (slots, highs) = match from.contents().map_err(Damage::of) {
            Ok(contents) => contents,
            Err(Err(error)) => return Err(error),
            Err(Ok(damage)) => {
                set_aside(from.segments());
                // Whoever sees it can rely on that.
                return Err(self.damage.get_or_init(|| damage).error());
            }
        };
        let mut inner = self.lock();
        let table = self.log.segments.table();
        inner.begin_with(slots, Live(&table));
        inner.take_in_highs(&highs);
        *unloaded = None;
        self.is_loaded.store(true, Ordering::Release);
        Ok(())
    }

    /// Why it can't be read, if it can't.
    pub(in crate::logstor) fn damage(&self) -> Option<&Damage> {
        self.damage.get()
    }

    pub(in crate::logstor) fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire)
    }
}

/// An image, and the segments it covers whose uses are not over.
#[derive(Debug)]
pub(in crate::logstor) struct Known {
    pub(in crate::logstor) image: Arc<Image>,
    pub(in crate::logstor) current: BTreeMap<u32, (Arc<Segment>, Covered)>,
}

/// Where a branch's index comes from.
#[derive(Debug)]
pub(in crate::logstor) struct Unloaded {
    known: Option<Arc<Known>>,
    vb: u16,
    lineage: Lineage,
    /// What the image does not cover.
    found: Vec<FoundItem>,
    hash_key: [u64; 2],
}

impl Unloaded {
    pub(in crate::logstor) fn new(
        known: Option<Arc<Known>>,
        vb: u16,
        lineage: Lineage,
        found: Vec<FoundItem>,
        hash_key: [u64; 2],
    ) -> Self {
        Self { known, vb, lineage, found, hash_key }
    }

    /// What the image says of the vBucket, unless it was rolled back since.
    fn section(&self) -> Option<(&Known, &Section)> {
        let known = self.known.as_deref()?;
        let section = known.image.directory.section(self.vb)?;
        (section.lineage == self.lineage).then_some((known, section))
    }

    /// The newest state in what the image covers, if its record is still there.
    ///
    /// # Errors
    /// As for slots, if the image has no section of the vBucket: it was made while that was being imported.
    pub(in crate::logstor) fn state(&self) -> Result<Option<FoundState>, EngineError> {
        let Some((known, section)) = self.section() else { return self.scanned_state() };
        let state = section.state.as_ref().filter(|state| known.current.contains_key(&state.at.segment));
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
        for (segment, covered) in self.known.iter().flat_map(|known| known.current.values()) {
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
        let known = self.known.iter().flat_map(|known| known.current.iter());
        let holders = known.filter(|(_, (_, covered))| self.is_in(covered)).map(|(id, _)| *id);
        holders.chain(self.found.iter().map(|item| item.at.segment)).collect()
    }

    fn is_in(&self, covered: &Covered) -> bool {
        self.lineage.epochs().any(|epoch| covered.epochs.binary_search(&epoch).is_ok())
    }

    /// Every key's newest record, ascending by seqno, where others are counted; and how far the collections have come.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if image and log are damaged.
    pub(super) fn contents(&self) -> Result<(Vec<Slot>, CollectionHighs), EngineError> {
        let mut found = self.found.clone();
        sort(&mut found);
        let (mut slots, highs) = match self.known_slots(&found)? {
            Some(slots) => (slots, self.known_highs()),
            None => {
                let found = self.scanned(found)?;
                (slots_of(&found), found::highs(&found))
            }
        };
        slots.sort_unstable_by_key(|slot| slot.seqno);
        Ok((slots, highs))
    }

    /// What the image knows of the same history, and what came since.
    fn known_highs(&self) -> CollectionHighs {
        let mut highs = found::highs(&self.found);
        self.section().iter().for_each(|(_, section)| highs.merge(&section.highs));
        highs
    }

    /// `None` if the image can't be relied on.
    fn known_slots(&self, mut found: &[FoundItem]) -> Result<Option<Vec<Slot>>, EngineError> {
        let Some((known, section)) = self.section() else { return Ok(None) };
        let mut slots = Vec::with_capacity(found.len());
        for block in &section.blocks {
            let rows = match known.image.rows(block) {
                Err(EngineError::Corrupt { .. }) => return Ok(None),
                rows => rows?,
            };
            let Some(last) = rows.last().map(|row| row.fingerprint) else { continue };
            let upto = found.partition_point(|item| item.fingerprint <= last);
            let (here, rest) = found.split_at(upto);
            found = rest;
            let merge = Merge::new(rows, here, |segment| known.current.contains_key(&segment));
            for row in merge {
                let Ok(row) = row else { return Ok(None) };
                slots.push(slot(&row));
            }
        }
        slots.extend(Merge::new([], found, |_| false).flatten().map(|row| slot(&row)));
        Ok(Some(slots))
    }

    /// The records themselves. Without an image they are all found already.
    fn scanned(&self, mut found: Vec<FoundItem>) -> Result<Vec<FoundItem>, EngineError> {
        for (segment, covered) in self.known.iter().flat_map(|known| known.current.values()) {
            if self.is_in(covered) {
                found.extend(self.covered_items(segment, covered)?);
            }
        }
        sort(&mut found);
        Ok(found)
    }

    fn covered_items(&self, segment: &Segment, covered: &Covered) -> Result<Vec<FoundItem>, EngineError> {
        let mut items = match covered.contents {
            Contents::Large(piece) if piece.piece > 0 => Vec::new(),
            Contents::Large(piece) => {
                vec![found::large(segment, piece.pieces, piece.number, self.hash_key)?]
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
    Merge::new([], found, |_| false).filter_map(Result::ok).map(|row| slot(&row)).collect()
}

fn slot(row: &Row) -> Slot {
    let mut slot = Slot::new(row.fingerprint, row.seqno, row.at, row.tombstone);
    let others: u64 = row.others.iter().map(|run| u64::from(run.records)).sum();
    slot.stale = u16::try_from(others).unwrap_or(u16::MAX);
    slot
}

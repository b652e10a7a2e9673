//! A branch as it is when the store was opened: its index comes into memory when it is first needed, from the image and
//! from what was found beside it.
//!
//! Always (L23): a branch that is not loaded was neither read nor written, and no segment is freed before every branch is
//! loaded; so whenever it is loaded, the index is the one it would have been when the store was opened. If the image's rows
//! turn out to be damaged, the segments they speak of are read instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::EngineError;
use crate::logstor::found::{self, FoundItem, FoundState};
use crate::logstor::image::{Contents, Covered, Image, Merge, Row, Section, sort};
use crate::logstor::index::Slot;
use crate::logstor::manifest::Lineage;
use crate::logstor::scan::Frame;
use crate::logstor::segment::Segment;

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
        mut found: Vec<FoundItem>,
        hash_key: [u64; 2],
    ) -> Self {
        sort(&mut found);
        Self { known, vb, lineage, found, hash_key }
    }

    /// What the image says of the vBucket, unless it was rolled back since.
    fn section(&self) -> Option<(&Known, &Section)> {
        let known = self.known.as_deref()?;
        let section = known.image.directory.section(self.vb)?;
        (section.lineage == self.lineage).then_some((known, section))
    }

    /// The newest state the image knows of, if its record is still there.
    pub(in crate::logstor) fn state(&self) -> Option<FoundState> {
        let (known, section) = self.section()?;
        let state = section.state.as_ref().filter(|state| known.current.contains_key(&state.at.segment))?;
        Some(FoundState {
            epoch: self.lineage.epoch(),
            revision: state.revision,
            high: state.high,
            at: state.at,
            bytes: state.bytes.clone(),
            number: state.number,
        })
    }

    /// Every key's newest record, ascending by seqno; others are counted.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if image and log are damaged.
    pub(super) fn slots(&self) -> Result<Vec<Slot>, EngineError> {
        let mut slots = match self.known_slots()? {
            Some(slots) => slots,
            None => self.scanned_slots()?,
        };
        slots.sort_unstable_by_key(|slot| slot.seqno);
        Ok(slots)
    }

    /// `None` if the image can't be relied on.
    fn known_slots(&self) -> Result<Option<Vec<Slot>>, EngineError> {
        let Some((known, section)) = self.section() else { return Ok(None) };
        let mut slots = Vec::with_capacity(section.rows as usize + self.found.len());
        let mut found = self.found.as_slice();
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

    /// From the records themselves. Without an image they are all found already.
    fn scanned_slots(&self) -> Result<Vec<Slot>, EngineError> {
        let mut found = self.found.clone();
        for (segment, covered) in self.known.iter().flat_map(|known| known.current.values()) {
            if self.lineage.epochs().any(|epoch| covered.epochs.binary_search(&epoch).is_ok()) {
                found.extend(self.covered_items(segment, covered)?);
            }
        }
        sort(&mut found);
        // Without an image nothing can be untrue.
        Ok(Merge::new([], &found, |_| false).filter_map(Result::ok).map(|row| slot(&row)).collect())
    }

    fn covered_items(&self, segment: &Segment, covered: &Covered) -> Result<Vec<FoundItem>, EngineError> {
        let mut items = match covered.contents {
            Contents::Large(piece) if piece.piece > 0 => Vec::new(),
            Contents::Large(piece) => {
                vec![found::large(segment, piece.pieces, piece.number, self.hash_key)?]
            }
            Contents::Commits | Contents::Moved => {
                let bytes = segment.read(0, covered.bytes as usize)?;
                let read = found::in_segment(segment, &bytes, self.hash_key, None, |_| Some(covered.bytes))?;
                let end = read.frames.last().map_or(0, Frame::end);
                let damaged = read.frames.iter().find(|frame| !frame.is_whole).map(|frame| frame.offset);
                if let Some(at) = damaged.or((end != covered.bytes).then_some(end)) {
                    return Err(segment.corrupt(at, "a frame that was acknowledged is damaged"));
                }
                read.items
            }
        };
        items.retain(|item| self.lineage.contains(item.epoch, item.seqno));
        Ok(items)
    }
}

fn slot(row: &Row) -> Slot {
    let mut slot = Slot::new(row.fingerprint, row.seqno, row.at, row.tombstone);
    let others: u64 = row.others.iter().map(|run| u64::from(run.records)).sum();
    slot.stale = u16::try_from(others).unwrap_or(u16::MAX);
    slot
}

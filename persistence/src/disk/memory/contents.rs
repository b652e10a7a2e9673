//! One file's bytes: as reads see them, as syncs made them durable, and as a power loss may leave
//! them.
//!
//! # Invariants
//!
//! `changes` applied in order to `durable` gives `current`. A power loss leaves what a page cache
//! may have written: each 512-byte sector as it was after some number of the unsynced changes to
//! it, independently of every other sector. Lengths change in order, but a write may extend the
//! file even if earlier changes of the length were lost.
//!
//! A failed sync puts unsynced writes into limbo. They are still read, but later syncs pass them
//! by; if the writes extended the file, the later syncs make the length durable, over zeros. After
//! several writes to a byte in limbo the disk may hold any of them, even one that reads no longer
//! see. Bytes written and synced over them afterwards are durable. Lengths are not bytes: the next
//! sync makes them durable.

use std::ops::Range;

use crate::numbers::{part_to_usize, to_u64};

use super::image::Image;
use super::ranges::RangeSet;

/// The size of a sector, which the simulated device writes as a whole or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    Zeros(u64),
}

impl Payload {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => to_u64(bytes.len()),
            Self::Zeros(len) => *len,
        }
    }

    /// Writes the part of a payload at `offset` that lies in the bytes `range` of a file.
    fn apply(&self, image: &mut Image, offset: u64, range: Range<u64>) {
        match self {
            Self::Bytes(bytes) => {
                let start = part_to_usize(range.start.saturating_sub(offset));
                let end = part_to_usize(range.end.saturating_sub(offset));
                image.write(range.start, bytes.get(start..end).unwrap_or_default());
            }
            Self::Zeros(_) => image.write_zeros(range.start, range.end - range.start),
        }
    }
}

#[derive(Debug)]
enum Change {
    SetLen {
        from: u64,
        to: u64,
    },
    Write {
        offset: u64,
        payload: Payload,
        /// After a failed sync: the bytes that no sync has replaced since.
        limbo: Option<RangeSet>,
    },
}

/// A file's bytes, durable and not.
#[derive(Debug, Default)]
pub(super) struct Contents {
    current: Image,
    durable: Image,
    changes: Vec<Change>,
}

impl Contents {
    /// Returns a file whose bytes are all durable.
    pub(super) fn new(image: Image) -> Self {
        Self {
            current: image.clone(),
            durable: image,
            changes: Vec::new(),
        }
    }

    /// Returns the bytes that reads see.
    pub(super) fn current(&self) -> &Image {
        &self.current
    }

    pub(super) fn set_len(&mut self, to: u64) {
        let from = self.current.len();
        if from != to {
            self.current.set_len(to);
            self.changes.push(Change::SetLen { from, to });
        }
    }

    pub(super) fn write(&mut self, offset: u64, payload: Payload) {
        let len = payload.len();
        if len > 0 {
            payload.apply(&mut self.current, offset, offset..offset + len);
            self.changes.push(Change::Write {
                offset,
                payload,
                limbo: None,
            });
        }
    }

    pub(super) fn sync(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        if changes
            .iter()
            .any(|change| matches!(change, Change::Write { limbo: Some(_), .. }))
        {
            self.sync_around_limbo(changes);
            return;
        }
        // Everything becomes durable. The written ranges are therefore copied in whole pages, as
        // they are now, after the cuts are done.
        let mut written = RangeSet::default();
        for change in &changes {
            match change {
                Change::SetLen { to, .. } => self.durable.set_len(*to),
                Change::Write {
                    offset, payload, ..
                } => written.insert(*offset..*offset + payload.len()),
            }
        }
        self.durable.set_len(self.current.len());
        for range in written.iter() {
            self.durable.share_pages(&self.current, range);
        }
    }

    /// Makes everything durable except bytes in limbo.
    fn sync_around_limbo(&mut self, changes: Vec<Change>) {
        let mut left: Vec<Change> = Vec::new();
        for change in changes {
            match change {
                Change::SetLen { from, to } => {
                    self.durable.set_len(to);
                    if to < from {
                        replace(&mut left, to..u64::MAX);
                    }
                }
                Change::Write {
                    offset,
                    payload,
                    limbo: None,
                } => {
                    let range = offset..offset + payload.len();
                    payload.apply(&mut self.durable, offset, range.clone());
                    replace(&mut left, range);
                }
                Change::Write {
                    limbo: Some(ref ranges),
                    ..
                } => {
                    self.durable.extend_to(ranges.end());
                    left.push(change);
                }
            }
        }
        left.retain(
            |change| !matches!(change, Change::Write { limbo: Some(ranges), .. } if ranges.is_empty()),
        );
        self.changes = left;
    }

    /// Records a failed sync.
    pub(super) fn fail_sync(&mut self) {
        for change in &mut self.changes {
            if let Change::Write {
                offset,
                payload,
                limbo: limbo @ None,
            } = change
            {
                *limbo = Some(RangeSet::from_range(*offset..*offset + payload.len()));
            }
        }
    }

    /// Returns the bytes that a power loss leaves. `choose(n)` returns one of `0..n`, larger for
    /// more.
    pub(super) fn survivors(&self, choose: &mut dyn FnMut(usize) -> usize) -> Image {
        let mut left = Survivors {
            image: self.durable.clone(),
            stuck: RangeSet::default(),
            len_stuck: false,
        };
        for change in &self.changes {
            match change {
                Change::SetLen { from, to } => left.set_len(*from, *to, choose),
                Change::Write {
                    offset,
                    payload,
                    limbo: None,
                } => {
                    let whole = RangeSet::from_range(*offset..*offset + payload.len());
                    left.write(*offset, payload, &whole, choose);
                }
                Change::Write {
                    offset,
                    payload,
                    limbo: Some(ranges),
                } => {
                    left.write(*offset, payload, ranges, choose);
                }
            }
        }
        left.image
    }
}

/// Removes a replaced range from limbo.
fn replace(changes: &mut [Change], range: Range<u64>) {
    for change in changes {
        if let Change::Write {
            limbo: Some(ranges),
            ..
        } = change
        {
            ranges.remove(range.clone());
        }
    }
}

/// The bytes that a power loss leaves, while they are being chosen.
struct Survivors {
    image: Image,
    /// Sectors that lost a change, and therefore lose the later ones.
    stuck: RangeSet,
    /// Whether a change of length was lost.
    len_stuck: bool,
}

impl Survivors {
    fn set_len(&mut self, from: u64, to: u64, choose: &mut dyn FnMut(usize) -> usize) {
        if !self.len_stuck && choose(2) != 0 {
            self.image.set_len(to);
            return;
        }
        self.len_stuck = true;
        // If the cut did not happen, later writes beyond it found no free sectors.
        if to < from {
            self.stuck
                .insert(to / SECTOR_BYTES..from.div_ceil(SECTOR_BYTES));
        }
    }

    /// Keeps nothing (0), a part, or all of the bytes `ranges` of a write.
    fn write(
        &mut self,
        offset: u64,
        payload: &Payload,
        ranges: &RangeSet,
        choose: &mut dyn FnMut(usize) -> usize,
    ) {
        let pieces: Vec<(u64, Range<u64>)> = ranges
            .iter()
            .flat_map(sectors)
            .filter(|(sector, _)| !self.stuck.contains(*sector))
            .collect();
        let (Some((first, _)), Some((last, _))) = (pieces.first(), pieces.last()) else {
            return;
        };
        let options = if first == last { 2 } else { 3 };
        let chosen = choose(options);
        let torn = chosen > 0 && chosen + 1 < options;
        let mut decided = None;
        let mut end = 0;
        for (sector, piece) in pieces {
            // A sector that limbo has split is still one sector.
            let kept = match decided {
                Some((known, kept)) if known == sector => kept,
                _ if torn => choose(2) != 0,
                _ => chosen > 0,
            };
            decided = Some((sector, kept));
            if kept {
                end = piece.end;
                payload.apply(&mut self.image, offset, piece);
            } else {
                self.stuck.insert(sector..sector + 1);
            }
        }
        // The length of a torn write may have become durable as a whole, over zeros.
        let whole = ranges.end();
        if chosen > 0 && (!torn || (end < whole && whole > self.image.len() && choose(2) != 0)) {
            self.image.extend_to(whole);
        }
    }
}

/// Splits a byte range into sectors.
fn sectors(range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let sector = at / SECTOR_BYTES;
        let end = (sector + 1).saturating_mul(SECTOR_BYTES).min(range.end);
        let piece = at..end;
        at = end;
        Some((sector, piece))
    })
}

#[cfg(test)]
mod tests;

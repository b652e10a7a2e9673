//! One file's bytes: changes go in, and what reads see, what a sync made durable, and what a power loss leaves come
//! out.
//!
//! Always: `changes` applied in order to `durable` gives `current`. What a power loss may leave is what a page cache
//! may have written: each 512-byte sector as it was after some number of the unsynced changes to it, independently of
//! every other sector. Lengths change in order, but a write may extend the file also where earlier ones were lost.
//!
//! A failed sync puts unsynced writes into limbo: read as ever, but later syncs pass them by (where they extended the
//! file these make the length durable, over zeros). Of several writes of a byte in limbo the disk may have any, also
//! one that reads no longer see. What is written and synced over them afterwards is durable. Lengths are no bytes, and
//! the next sync makes them durable.

use std::ops::Range;

use super::image::Image;
use super::ranges::RangeSet;

/// What the simulated device writes as a whole or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    Zeros(u64),
}

impl Payload {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(len) => *len,
        }
    }

    /// Writes the part that is for the bytes `range` of a file, of a payload that belongs at `offset`.
    fn apply(&self, image: &mut Image, offset: u64, range: Range<u64>) {
        match self {
            Self::Bytes(bytes) => {
                let start = range.start.saturating_sub(offset) as usize;
                let end = range.end.saturating_sub(offset) as usize;
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
    /// A file whose bytes are all durable.
    pub(super) fn new(image: Image) -> Self {
        Self {
            current: image.clone(),
            durable: image,
            changes: Vec::new(),
        }
    }

    /// What reads see.
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
        // Everything becomes durable, so what was written is taken over in whole pages, as it is now, once the cuts
        // are done.
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

    /// Makes everything durable but what is in limbo.
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

    /// What a sync that fails does.
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

    /// What a power loss leaves. `choose(n)` gives one of `0..n`, larger for more.
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

/// Takes out of limbo what has been replaced.
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

/// What a power loss leaves, while it is being chosen.
struct Survivors {
    image: Image,
    /// Sectors that lost a change, and so lose the later ones.
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
        // Where the cut did not happen, its sectors are not free for what was written there afterwards.
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
        // Of a torn write the length may have become durable as a whole, over zeros.
        let whole = ranges.end();
        if chosen > 0 && (!torn || (end < whole && whole > self.image.len() && choose(2) != 0)) {
            self.image.extend_to(whole);
        }
    }
}

/// A byte range sector by sector.
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

//! The queue: items at positions that never change, in chunks from oldest to newest.
//!
//! In go items at the end, out go whole chunks at the front. What always holds: positions in `base..end` are filled;
//! what lies below `base` is gone for everyone but batches that already hold its chunk; seqnos never fall with the
//! position; the totals of a segment count exactly its live slots, those below `base` included until it leaves. A full
//! chunk of which half is superseded is rewritten without the dead, positions kept, so that a queue costs memory for
//! what is live in it and not for what was written to it (C20).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::account::Account;
use crate::{Item, Operation, Seqno};

mod chunk;
mod prefix;
mod totals;

pub(crate) use chunk::{Chunk, SLOT_BYTES, Slot};
pub(crate) use totals::Totals;

use prefix::PrefixCounts;

/// Few slots while the queue is short, so that an idle vBucket costs little; one model of loom tracks each of them.
const CHUNK_SLOTS_MIN: u64 = if cfg!(checkpoint_loom) { 2 } else { 16 };
/// Many when it is long, so that a million items are a few hundred chunks.
const CHUNK_SLOTS_MAX: u64 = 4096;
/// A new chunk holds at most this share of what is queued: so much can lie dead in the chunk at the front.
const CHUNK_SHARE: u64 = 8;
/// A chunk is closed early when its keys and values come to more than this and than such a share, for the same reason.
const CHUNK_BYTES: usize = 256 * 1024;
/// Segments that have gone may keep so many places in the prefix counts beyond those of the segments that are there.
const STALE_NUMBERS_MAX: usize = 64;

/// A chunk as the queue knows it.
#[derive(Debug)]
struct Segment {
    chunk: Arc<Chunk>,
    /// Live slots and their bytes, wherever the base is.
    live: Totals,
    /// Position after the last filled slot: a chunk may be closed before it is full.
    filled: u64,
    /// Slots that hold an item, live or dead.
    slots: usize,
    /// Its place in the prefix counts.
    number: usize,
    /// The next item may still go into it. At most the last one.
    is_filling: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    segments: VecDeque<Segment>,
    base: u64,
    end: u64,
    /// Bytes of the chunks in `segments`.
    bytes: usize,
    /// Live items before each segment.
    prefix: PrefixCounts,
    account: Account,
}

impl Queue {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            segments: VecDeque::new(),
            base: 0,
            end: 0,
            bytes: 0,
            prefix: PrefixCounts::default(),
            account,
        }
    }

    /// The lowest position that is still here.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The position the next item will get.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes its chunks keep alive.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, item: Item) -> u64 {
        let position = self.end;
        let payload = item.payload_bytes();
        if self.needs_chunk() {
            self.add_chunk();
        }
        if let Some(segment) = self.segments.back_mut() {
            let filled = segment.chunk.fill(position, item);
            debug_assert!(filled, "position {position} was filled before");
            segment.live.add(payload);
            segment.slots += 1;
            segment.filled = position + 1;
            self.prefix.add(segment.number, 1);
        }
        self.bytes += payload;
        self.end = position + 1;
        position
    }

    /// Takes the item at `position` out of every later read; it stays where it is for batches read before. Returns the
    /// bytes of its key and value if it was live, and the chunk that was rewritten without it, if it was time; drop
    /// that outside the lock.
    pub(crate) fn supersede(&mut self, position: u64, by: Seqno) -> Option<(usize, Option<Arc<Chunk>>)> {
        let index = self.segment_at(position)?;
        let has_room = !self.needs_chunk();
        let segment = self.segments.get_mut(index)?;
        let item = segment.chunk.slot(position).filter(|slot| slot.is_live()).and_then(Slot::item)?;
        let payload = item.payload_bytes();
        segment.live.remove(payload);
        segment.chunk.supersede(position, by);
        self.prefix.add(segment.number, -1);
        let is_mostly_dead = segment.live.items * 2 <= segment.slots && !(segment.is_filling && has_room);
        Some((payload, is_mostly_dead.then(|| self.rewrite(index)).flatten()))
    }

    /// Puts a chunk without the dead in the place of a segment's, or nothing if none is live. Each item is copied (its
    /// key and value shared) at most once for every one that died, so this costs amortised O(1) a write.
    fn rewrite(&mut self, index: usize) -> Option<Arc<Chunk>> {
        let segment = self.segments.get_mut(index)?;
        let rewritten = if segment.live.items == 0 {
            self.segments.remove(index)?.chunk
        } else {
            let sparse = Arc::new(segment.chunk.without_dead(segment.filled, &self.account));
            segment.slots = segment.live.items;
            segment.is_filling = false;
            self.bytes += sparse.bytes();
            std::mem::replace(&mut segment.chunk, sparse)
        };
        self.bytes -= rewritten.bytes();
        self.renumber_if_stale();
        Some(rewritten)
    }

    /// The slot at `position`, unless that is below the base or not filled.
    pub(crate) fn slot(&self, position: u64) -> Option<&Slot> {
        if position < self.base || position >= self.end {
            return None;
        }
        self.segments.get(self.segment_at(position)?)?.chunk.slot(position)
    }

    /// The live item at `position`.
    pub(crate) fn live_item(&self, position: u64) -> Option<&Item> {
        self.slot(position).filter(|slot| slot.is_live()).and_then(Slot::item)
    }

    /// The first position whose seqno is greater than `after`; O(log n). A vBucket state item counts as the seqno of
    /// the operation that will follow it.
    pub(crate) fn seek(&self, after: Seqno) -> u64 {
        // A sparse chunk may have nothing left above the base; it comes before everything that is there.
        let goes_before = |chunk: &Chunk| {
            let first = chunk.slots(self.base, u64::MAX).first().and_then(Slot::item);
            first.is_none_or(|item| item.seqno <= after)
        };
        let index = self.segments.partition_point(|segment| goes_before(&segment.chunk));
        let Some(segment) = index.checked_sub(1).and_then(|index| self.segments.get(index)) else {
            return self.base;
        };
        segment.chunk.seek(self.base, segment.filled, after)
    }

    /// Live items and bytes in `from..to`; O(chunks), plus the slots of the two chunks at the ends.
    pub(crate) fn live_between(&self, from: u64, to: u64) -> Totals {
        let mut totals = Totals::default();
        for segment in self.segments_between(from, to) {
            if from <= segment.chunk.start() && segment.filled <= to {
                totals += segment.live;
            } else {
                for slot in
                    segment.chunk.slots(from, to.min(segment.filled)).iter().filter(|slot| slot.is_live())
                {
                    totals.add(slot.item().map_or(0, Item::payload_bytes));
                }
            }
        }
        totals
    }

    /// The first live item at or after `from`.
    pub(crate) fn first_live(&self, from: u64) -> Option<&Item> {
        self.segments_between(from, self.end)
            .filter(|segment| segment.live.items > 0)
            .flat_map(|segment| segment.chunk.slots(from, segment.filled))
            .find(|slot| slot.is_live())
            .and_then(Slot::item)
    }

    /// The highest live operation with a seqno of its own in `from..to`.
    pub(crate) fn last_live_seqno(&self, from: u64, to: u64) -> Option<Seqno> {
        self.segments_between(from, to)
            .rev()
            .filter(|segment| segment.live.items > 0)
            .flat_map(|segment| segment.chunk.slots(from, to.min(segment.filled)).iter().rev())
            .filter(|slot| slot.is_live())
            .filter_map(Slot::item)
            .find(|item| !matches!(item.operation, Operation::SetVBucketState(_)))
            .map(|item| item.seqno)
    }

    /// The live items in `from..to`, in order, each with its position.
    pub(crate) fn live_items(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &Item)> {
        self.segments_between(from, to)
            .flat_map(move |segment| segment.chunk.entries(from, to.min(segment.filled)))
            .filter(|(_, slot)| slot.is_live())
            .filter_map(|(position, slot)| Some((position, slot.item()?)))
    }

    /// How many live items there are from `position` on; O(log segments), plus the slots of one chunk.
    pub(crate) fn live_from(&self, position: u64) -> usize {
        let total = self.prefix.before(self.prefix.len());
        let Some(segment) = self.segment_at(position).and_then(|index| self.segments.get(index)) else {
            return total;
        };
        let in_segment = segment.chunk.slots(segment.chunk.start(), position.min(segment.filled));
        let before = in_segment.iter().filter(|slot| slot.is_live()).count();
        total - self.prefix.before(segment.number) - before
    }

    /// The chunks a batch over `from..to` must hold; O(chunks).
    pub(crate) fn chunks(&self, from: u64, to: u64) -> Vec<Arc<Chunk>> {
        self.segments_between(from, to).map(|segment| Arc::clone(&segment.chunk)).collect()
    }

    /// Gives up everything below `to`. Whole chunks leave, to be dropped outside the lock; O(chunks).
    #[must_use = "drop it outside the lock"]
    pub(crate) fn advance_base(&mut self, to: u64) -> Vec<Arc<Chunk>> {
        self.base = self.base.max(to.min(self.end));
        let whole = self.segments.partition_point(|segment| segment.filled <= self.base);
        let mut freed = Vec::with_capacity(whole);
        for segment in self.segments.drain(..whole) {
            self.prefix.add(segment.number, -(segment.live.items as i64));
            self.bytes -= segment.chunk.bytes();
            freed.push(segment.chunk);
        }
        self.renumber_if_stale();
        freed
    }

    fn needs_chunk(&self) -> bool {
        self.segments.back().is_none_or(|segment| {
            let payload = segment.chunk.bytes() - segment.chunk.capacity() * SLOT_BYTES;
            let is_large = payload >= CHUNK_BYTES.max(self.bytes / CHUNK_SHARE as usize);
            !segment.is_filling || segment.chunk.dense_end() <= self.end || is_large
        })
    }

    fn add_chunk(&mut self) {
        let live = self.prefix.before(self.prefix.len()) as u64;
        let slots = (live / CHUNK_SHARE).next_power_of_two().clamp(CHUNK_SLOTS_MIN, CHUNK_SLOTS_MAX);
        let chunk = Arc::new(Chunk::new(self.end, slots as usize, &self.account));
        self.bytes += chunk.bytes();
        let number = self.prefix.append();
        if let Some(full) = self.segments.back_mut() {
            full.is_filling = false;
        }
        let (live, filled) = (Totals::default(), self.end);
        self.segments.push_back(Segment { chunk, live, filled, slots: 0, number, is_filling: true });
    }

    fn renumber_if_stale(&mut self) {
        if self.prefix.len() <= 2 * self.segments.len() + STALE_NUMBERS_MAX {
            return;
        }
        for (number, segment) in self.segments.iter_mut().enumerate() {
            segment.number = number;
        }
        self.prefix = PrefixCounts::from_counts(self.segments.iter().map(|segment| segment.live.items));
    }

    fn segment_at(&self, position: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.chunk.start() <= position).checked_sub(1)
    }

    fn segments_between(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = &Segment> {
        let first = self.segments.partition_point(|segment| segment.filled <= from);
        let last = self.segments.partition_point(|segment| segment.chunk.start() < to);
        self.segments.range(first..last.max(first))
    }
}

#[cfg(test)]
mod tests;

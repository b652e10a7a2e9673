//! The queue: items at positions that never change, in chunks from oldest to newest.
//!
//! Absolute positions make a cursor a number, and let whole chunks leave at the front without a walk
//! over their items.
//!
//! # Invariants
//! - Positions in `base..end` are filled. Items below `base` are reachable only through batches that
//!   already hold their chunk.
//! - Seqnos never fall with the position.
//! - The totals of a segment count exactly its live slots. Slots below `base` count until the
//!   segment leaves.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use super::chunk::{Chunk, Filler};
use super::live_counts::LiveCounts;
use super::slot::Slot;
use super::totals::Totals;
use crate::internal::invariant::{Violation, invariant, subtract, violated};
use crate::internal::number::to_u64;
use crate::memory::Account;
use crate::model::{Item, Seqno};

/// Slots of a chunk while the queue is short: few, so that an idle vBucket costs little. Under loom
/// two, because loom tracks each slot.
pub(super) const CHUNK_SLOTS_MIN: u64 = if cfg!(checkpoint_loom) { 2 } else { 16 };
/// Slots of a chunk when chunks fill up quickly, however few items are still needed. Readers that
/// keep up take the lock once a chunk.
pub(super) const CHUNK_SLOTS_BUSY: u64 = if cfg!(checkpoint_loom) { 2 } else { 64 };
/// Slots of a chunk in a long queue: many, so that a million items are a few hundred chunks.
pub(super) const CHUNK_SLOTS_MAX: u64 = 4096;
/// A new chunk holds at most 1/`CHUNK_SHARE` of the queued items, which bounds the dead slots in the
/// chunk at the front.
pub(super) const CHUNK_SHARE: u64 = 8;
/// A chunk is closed early when its keys and values exceed both this size and the same share. This
/// bounds the dead bytes at the front.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// A slot's location, valid until the queue changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotRef {
    pub(super) segment: usize,
    pub(super) slot: usize,
}

/// A chunk and what the queue knows about it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) chunk: Arc<Chunk>,
    /// Start of the chunk, stored here so that a search does not visit the chunks.
    pub(super) start: u64,
    /// Seqno of the first slot, stored here for the same reason.
    pub(super) first: Seqno,
    /// Live slots and their bytes, on both sides of the base.
    pub(super) live: Totals,
    /// Position after the last filled slot. A chunk may be closed before it is full.
    pub(super) filled: u64,
    /// Number of slots that hold an item, live or dead.
    pub(super) slots: usize,
    /// Number of the segment in the live counts.
    pub(super) number: usize,
    /// Whether the next item may enter this segment. Only the last segment is being filled, and its
    /// items are not in the live counts yet.
    pub(super) is_filling: bool,
}

impl Segment {
    /// Returns the number of slots whose item was superseded.
    pub(super) fn dead(&self) -> usize {
        let mut slots = self.slots;
        subtract(
            &mut slots,
            self.live.items,
            "C2",
            "a live slot is one of its chunk's slots",
        );
        slots
    }
}

/// Items in chunks, and the counts over them.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) segments: VecDeque<Segment>,
    pub(super) base: u64,
    pub(super) end: u64,
    /// Bytes of the chunks in `segments`.
    pub(super) bytes: usize,
    /// Live items before each segment, without the segment that is being filled.
    pub(super) live_counts: LiveCounts,
    /// Appender of the last segment while that is being filled.
    filler: Option<Filler>,
    /// Bytes of keys and values in the segment that is being filled.
    filling_bytes: usize,
    /// Position after the last slot of the segment that is being filled; `end` if there is none.
    room_end: u64,
    /// The end at the last [`Queue::publish`].
    published: u64,
    /// Bytes to charge for the items queued since the last [`Queue::publish`].
    uncharged: usize,
    /// Chunks closed since the last [`Queue::publish`], each with its end.
    closing: SmallVec<[(Arc<Chunk>, u64); 2]>,
    /// Chunk begun last, in the queue or already out of it.
    newest: Weak<Chunk>,
    /// Number of live slots, on both sides of the base.
    pub(super) live: usize,
    /// Number of dead slots, on both sides of the base.
    pub(super) dead: usize,
    /// Segment that is examined next when too many slots are dead.
    pub(super) next_examined: usize,
    /// Rises when a chunk is rewritten, and when a chunk begins that no other chunk links to.
    pub(super) layout: u64,
    pub(super) account: Account,
}

impl Queue {
    /// Creates an empty queue whose next position is `end`.
    pub(crate) fn new(account: Account, end: u64) -> Self {
        Self {
            segments: VecDeque::new(),
            base: end,
            end,
            bytes: 0,
            live_counts: LiveCounts::default(),
            filler: None,
            filling_bytes: 0,
            room_end: end,
            published: end,
            uncharged: 0,
            closing: SmallVec::new(),
            newest: Weak::new(),
            live: 0,
            dead: 0,
            next_examined: 0,
            layout: 0,
            account,
        }
    }

    /// Returns the lowest position that the queue still holds.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Returns the position that the next item will get.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the bytes that the queue's chunks keep alive.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends an item and returns its position.
    ///
    /// # Errors
    /// A [`Violation`] if there is no room although it has just been made. The item is lost, so its
    /// writer must not count on it.
    #[inline]
    pub(crate) fn push(&mut self, item: Item) -> Result<u64, Violation> {
        let position = self.end;
        let payload = item.payload_bytes();
        if !self.has_room() {
            self.add_chunk(item.seqno);
        }
        let (Some(filler), Some(segment)) = (&mut self.filler, self.segments.back_mut()) else {
            return Err(violated("C2", "the last segment is being filled"));
        };
        filler.shared().record_payload(payload);
        invariant!(
            filler.push(Slot::new(item)),
            "C26",
            "the chunk has a place for the item"
        );
        segment.live.add(payload);
        segment.slots += 1;
        segment.filled = position + 1;
        self.live += 1;
        self.uncharged += payload;
        self.filling_bytes += payload;
        self.bytes += payload;
        self.end = position + 1;
        Ok(position)
    }

    /// Loses the chunk that is being filled, as no code does: the next item finds no room.
    #[cfg(test)]
    pub(crate) fn lose_filler(&mut self) {
        self.filler = None;
    }

    /// Ends a critical section: charges the items queued in it and publishes them to readers
    /// without the lock.
    pub(crate) fn publish(&mut self) {
        if self.published == self.end {
            return;
        }
        self.published = self.end;
        self.account.add(std::mem::take(&mut self.uncharged));
        for (chunk, end) in self.closing.drain(..) {
            chunk.publish(end);
        }
        if let Some(filler) = &self.filler {
            filler.shared().publish(self.end);
        }
    }

    /// Returns the layout number. While it stays the same, a reader that has everything published
    /// continues in its chunk and in the chunks that this one links to.
    pub(crate) fn layout(&self) -> u64 {
        self.layout
    }

    /// Returns the chunk that the next item will enter or follow, if any owner still holds it.
    pub(crate) fn newest(&self) -> Option<Arc<Chunk>> {
        self.newest.upgrade()
    }

    /// Drops everything below `to` from the queue. Whole chunks leave; O(chunks).
    #[must_use = "drop it outside the lock"]
    pub(crate) fn advance_base(&mut self, to: u64) -> Vec<Arc<Chunk>> {
        self.base = self.base.max(to.min(self.end));
        let whole = self
            .segments
            .partition_point(|segment| segment.filled <= self.base);
        if whole == 0 {
            return Vec::new();
        }
        if whole == self.segments.len() {
            self.stop_filling();
        }
        let mut freed = Vec::with_capacity(whole);
        for segment in self.segments.drain(..whole) {
            self.live_counts
                .add(segment.number, -(segment.live.items as i64));
            subtract(
                &mut self.bytes,
                segment.chunk.bytes(),
                "C2",
                "a queue counts the bytes of its chunks",
            );
            subtract(
                &mut self.live,
                segment.live.items,
                "C2",
                "a queue counts the live slots of its chunks",
            );
            subtract(
                &mut self.dead,
                segment.dead(),
                "C2",
                "a queue counts the dead slots of its chunks",
            );
            freed.push(segment.chunk);
        }
        self.renumber_if_stale();
        freed
    }

    /// Returns whether the next item fits into the segment that is being filled.
    pub(super) fn has_room(&self) -> bool {
        let is_large = self.filling_bytes >= CHUNK_BYTES
            && self.filling_bytes >= self.bytes / CHUNK_SHARE as usize;
        self.end < self.room_end && !is_large
    }

    fn add_chunk(&mut self, first: Seqno) {
        let share = to_u64(self.live) / CHUNK_SHARE;
        let busy = (2 * self.stop_filling()).min(CHUNK_SLOTS_BUSY);
        let slots = share
            .max(busy)
            .next_power_of_two()
            .clamp(CHUNK_SLOTS_MIN, CHUNK_SLOTS_MAX);
        let filler = Chunk::dense(self.end, slots as usize, &self.account);
        let chunk = Arc::clone(filler.shared());
        self.filler = Some(filler);
        self.bytes += chunk.bytes();
        self.room_end = chunk.dense_end();
        match self.newest.upgrade() {
            Some(before) => before.link(&chunk),
            None => self.layout += 1,
        }
        self.newest = Arc::downgrade(&chunk);
        self.segments.push_back(Segment {
            chunk,
            start: self.end,
            first,
            live: Totals::default(),
            filled: self.end,
            slots: 0,
            number: self.live_counts.append(),
            is_filling: true,
        });
    }

    /// Closes the segment that is being filled. Returns the number of its filled slots, 0 if no
    /// segment was being filled.
    pub(super) fn stop_filling(&mut self) -> u64 {
        self.filler = None;
        self.filling_bytes = 0;
        self.room_end = self.end;
        let Some(segment) = self
            .segments
            .back_mut()
            .filter(|segment| segment.is_filling)
        else {
            return 0;
        };
        segment.is_filling = false;
        segment.chunk.close(segment.filled);
        if self.published < segment.filled {
            self.closing
                .push((Arc::clone(&segment.chunk), segment.filled));
        }
        self.live_counts
            .add(segment.number, segment.live.items as i64);
        to_u64(segment.slots)
    }
}

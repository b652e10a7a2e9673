//! The queue: items at positions that never change, in chunks from oldest to newest.
//!
//! In go items at the end, out go whole chunks at the front. What always holds: positions in `base..end` are filled;
//! what lies below `base` is gone for everyone but batches that already hold its chunk; seqnos never fall with the
//! position; the totals of a segment count exactly its live slots, those below `base` included until it leaves. When
//! more is dead than live, full chunks of which half is superseded are rewritten without the dead, positions kept, so that a
//! queue costs memory for what is live in it and not for what was written to it (C20).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use crate::account::Account;
use crate::{Item, Seqno};

mod append_only;
mod chunk;
mod look;
mod prefix;
mod totals;

pub(crate) use chunk::{Chunk, Following, Remains, SLOT_BYTES, Slot};
pub(crate) use totals::Totals;

use chunk::Filler;
use prefix::PrefixCounts;

/// Few slots while the queue is short, so that an idle vBucket costs little; one model of loom tracks each of them.
const CHUNK_SLOTS_MIN: u64 = if cfg!(checkpoint_loom) { 2 } else { 16 };
/// More when chunks fill up one after the other, however little of them is still needed: readers that keep up take the
/// lock once a chunk.
const CHUNK_SLOTS_BUSY: u64 = if cfg!(checkpoint_loom) { 2 } else { 64 };
/// Many when it is long, so that a million items are a few hundred chunks.
const CHUNK_SLOTS_MAX: u64 = 4096;
/// A new chunk holds at most this share of what is queued: so much can lie dead in the chunk at the front.
const CHUNK_SHARE: u64 = 8;
/// A chunk is closed early when its keys and values come to more than this and than such a share, for the same reason.
const CHUNK_BYTES: usize = 256 * 1024;
/// So many slots, and as many again as are live, may be dead before chunks are rewritten: most chunks leave soon, as
/// readers move on, and then rewriting them was for nothing.
const DEAD_SLOTS_MAX: usize = if cfg!(checkpoint_loom) { 0 } else { 2048 };
/// Segments that have gone may keep so many places in the prefix counts beyond those of the segments that are there.
const STALE_NUMBERS_MAX: usize = 64;

/// Where an item is, until the queue changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    segment: usize,
    slot: usize,
}

/// A chunk as the queue knows it.
#[derive(Debug)]
struct Segment {
    chunk: Arc<Chunk>,
    /// The chunk's start, here so that a search does not visit the chunks.
    start: u64,
    /// The seqno of its first slot, for the same reason.
    first: Seqno,
    /// Live slots and their bytes, wherever the base is.
    live: Totals,
    /// Position after the last filled slot: a chunk may be closed before it is full.
    filled: u64,
    /// Slots that hold an item, live or dead.
    slots: usize,
    /// Its place in the prefix counts.
    number: usize,
    /// The next item may still go into it, and it is not in the prefix counts yet. At most the last one.
    is_filling: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    segments: VecDeque<Segment>,
    base: u64,
    end: u64,
    /// Bytes of the chunks in `segments`.
    bytes: usize,
    /// Live items before each segment; the one that is being filled is not counted.
    prefix: PrefixCounts,
    /// Fills the last segment, if that is being filled.
    filler: Option<Filler>,
    /// Keys and values in it.
    filling_bytes: usize,
    /// The position after its last slot; the end if there is none.
    room_end: u64,
    /// The end at the last [`Queue::publish`], and what the items queued since are to be charged.
    published: u64,
    uncharged: usize,
    /// Closed since the last [`Queue::publish`], each with its end.
    closing: SmallVec<[(Arc<Chunk>, u64); 2]>,
    /// The chunk begun last, wherever it is now.
    newest: Weak<Chunk>,
    /// Live slots and dead ones, wherever the base is.
    live: usize,
    dead: usize,
    /// The segment that is looked at next when too much is dead.
    suspect: usize,
    /// Rises when a chunk is rewritten, and when one is begun that no other leads to.
    layout: u64,
    account: Account,
}

impl Queue {
    /// An empty queue whose next position is `end`.
    pub(crate) fn new(account: Account, end: u64) -> Self {
        Self {
            segments: VecDeque::new(),
            base: end,
            end,
            bytes: 0,
            prefix: PrefixCounts::default(),
            filler: None,
            filling_bytes: 0,
            room_end: end,
            published: end,
            uncharged: 0,
            closing: SmallVec::new(),
            newest: Weak::new(),
            live: 0,
            dead: 0,
            suspect: 0,
            layout: 0,
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

    #[inline]
    pub(crate) fn push(&mut self, item: Item) -> u64 {
        let position = self.end;
        let payload = item.payload_bytes();
        if !self.has_room() {
            self.add_chunk(item.seqno);
        }
        if let (Some(filler), Some(segment)) = (&mut self.filler, self.segments.back_mut()) {
            filler.shared().note(payload);
            let filled = filler.push(Slot::new(item));
            debug_assert!(filled, "there is no room for position {position}");
            segment.live.add(payload);
            segment.slots += 1;
            segment.filled = position + 1;
        }
        self.live += 1;
        self.uncharged += payload;
        self.filling_bytes += payload;
        self.bytes += payload;
        self.end = position + 1;
        position
    }

    /// Ends a critical section: charges what was queued in it, and lets readers without the lock see it.
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

    /// While this is what it was, whoever has read everything published goes on in the chunk it is in, or in those that
    /// this one leads to.
    pub(crate) fn layout(&self) -> u64 {
        self.layout
    }

    /// The chunk in which, or behind which, the next item will stand; none if nobody holds it any more.
    pub(crate) fn newest(&self) -> Option<Arc<Chunk>> {
        self.newest.upgrade()
    }

    /// Takes an item out of every later read; it stays where it is for batches read before. Returns the
    /// bytes of its key and value if it was live, and what is left of chunks that were rewritten because too much is dead;
    /// drop that outside the lock.
    pub(crate) fn supersede(
        &mut self,
        at: At,
        by: Seqno,
    ) -> Option<(usize, SmallVec<[Remains; 2]>)> {
        let index = at.segment;
        let segment = self.segments.get_mut(index)?;
        let payload = segment.chunk.supersede(at.slot, by)?;
        segment.live.remove(payload);
        if !segment.is_filling {
            self.prefix.add(segment.number, -1);
        }
        self.live -= 1;
        self.dead += 1;
        let mut remains = SmallVec::new();
        let is_empty = segment.live.items == 0;
        let is_too_much = self.dead > self.live + DEAD_SLOTS_MAX;
        if is_empty || is_too_much {
            remains.extend(self.rewrite_if_dead(index));
        }
        if is_too_much {
            // Those that are not written to any more have their turn, too.
            self.suspect = if self.suspect < self.segments.len() {
                self.suspect + 1
            } else {
                0
            };
            remains.extend(self.rewrite_if_dead(self.suspect));
        }
        Some((payload, remains))
    }

    /// If at least half of a segment is dead and nothing more goes into it: puts a chunk without the dead in its chunk's
    /// place, or nothing if none is live. Each item is moved at most once for every one that died, so this costs amortised
    /// O(1) a write.
    fn rewrite_if_dead(&mut self, index: usize) -> Option<Remains> {
        let has_room = self.has_room();
        let segment = self.segments.get(index)?;
        if segment.live.items * 2 > segment.slots || (segment.is_filling && has_room) {
            return None;
        }
        if segment.is_filling {
            self.stop_filling();
        }
        self.layout += 1;
        let segment = self.segments.remove(index)?;
        self.bytes -= segment.chunk.bytes();
        self.dead -= segment.slots - segment.live.items;
        if segment.live.items == 0 {
            self.renumber_if_stale();
            return Some(Remains::Shared(segment.chunk));
        }
        let slots = segment.live.items;
        let (chunk, remains) = Chunk::without_dead(segment.chunk, segment.filled, &self.account);
        self.bytes += chunk.bytes();
        let first = chunk
            .as_slice()
            .first()
            .map_or(segment.first, |slot| slot.item().seqno);
        self.segments.insert(
            index,
            Segment {
                chunk,
                first,
                slots,
                ..segment
            },
        );
        Some(remains)
    }

    /// Gives up everything below `to`. Whole chunks leave, to be dropped outside the lock; O(chunks).
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
            self.prefix
                .add(segment.number, -(segment.live.items as i64));
            self.bytes -= segment.chunk.bytes();
            self.live -= segment.live.items;
            self.dead -= segment.slots - segment.live.items;
            freed.push(segment.chunk);
        }
        self.renumber_if_stale();
        freed
    }

    fn has_room(&self) -> bool {
        let is_large = self.filling_bytes >= CHUNK_BYTES
            && self.filling_bytes >= self.bytes / CHUNK_SHARE as usize;
        self.end < self.room_end && !is_large
    }

    fn add_chunk(&mut self, first: Seqno) {
        let share = self.live as u64 / CHUNK_SHARE;
        let busy = self.stop_filling().min(CHUNK_SLOTS_BUSY);
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
        let number = self.prefix.append();
        let (live, start, filled) = (Totals::default(), self.end, self.end);
        self.segments.push_back(Segment {
            chunk,
            start,
            first,
            live,
            filled,
            slots: 0,
            number,
            is_filling: true,
        });
    }

    /// Nothing more goes into the segment that is being filled. Returns how many slots were filled in it, twice.
    fn stop_filling(&mut self) -> u64 {
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
        self.prefix.add(segment.number, segment.live.items as i64);
        2 * segment.slots as u64
    }

    fn renumber_if_stale(&mut self) {
        if self.prefix.len() <= 2 * self.segments.len() + STALE_NUMBERS_MAX {
            return;
        }
        for (number, segment) in self.segments.iter_mut().enumerate() {
            segment.number = number;
        }
        let counted = |segment: &Segment| {
            if segment.is_filling {
                0
            } else {
                segment.live.items
            }
        };
        self.prefix = PrefixCounts::from_counts(self.segments.iter().map(counted));
    }
}

#[cfg(test)]
mod tests;

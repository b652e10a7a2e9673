//! A chunk: a run of slots with rising positions, shared by `Arc` between the queue and the batches read from it.
//!
//! A dense chunk has a slot for every position from its start on and is filled in order. When most of its items have
//! been superseded the queue puts a sparse one in its place, which holds only those that are live, at their positions.
//!
//! What always holds: a slot's item is written once and never moves or changes; `superseded_by` goes once from 0 to the
//! seqno of the revision that replaced it. Both are written only by whoever holds the manager's lock; both may be read
//! without it.
//!
//! Why a reader outside the lock sees a consistent snapshot: it took E, the high seqno, under the lock. Every slot
//! below its batch's end was filled under the same lock before, so the item is there. A slot is part of the snapshot at
//! E exactly if nothing superseded it up to E: if `superseded_by` is at most E it was stored before E was read, hence is
//! visible; if it is greater, the reader may see 0 or that value, and delivers the slot either way.

use std::sync::OnceLock;

use crate::account::{Account, Charge};
use crate::sync::{AtomicU64, Ordering};
use crate::{Item, Seqno};

/// Bytes a queued item costs beyond its key and value in a dense chunk.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

#[derive(Debug)]
pub(crate) struct Slot {
    item: OnceLock<Item>,
    superseded_by: AtomicU64,
}

impl Slot {
    fn empty() -> Self {
        Self { item: OnceLock::new(), superseded_by: AtomicU64::new(0) }
    }

    fn filled(item: Item) -> Self {
        Self { item: OnceLock::from(item), superseded_by: AtomicU64::new(0) }
    }

    /// Whether no newer revision has taken its place. Exact under the lock.
    pub(crate) fn is_live(&self) -> bool {
        self.superseded_by.load(Ordering::Relaxed) == 0
    }

    /// Whether a snapshot taken when `end` was the high seqno contains it.
    pub(crate) fn is_live_at(&self, end: Seqno) -> bool {
        let superseded_by = self.superseded_by.load(Ordering::Relaxed);
        superseded_by == 0 || superseded_by > end.0
    }

    pub(crate) fn item(&self) -> Option<&Item> {
        self.item.get()
    }
}

#[derive(Debug)]
pub(crate) struct Chunk {
    start: u64,
    /// Of a sparse chunk: each slot's position, rising.
    positions: Option<Box<[u64]>>,
    slots: Box<[Slot]>,
    charge: Charge,
}

impl Chunk {
    /// An empty dense chunk.
    pub(crate) fn new(start: u64, capacity: usize, account: &Account) -> Self {
        let slots = (0..capacity).map(|_| Slot::empty()).collect();
        Self { start, positions: None, slots, charge: account.charge(capacity * SLOT_BYTES) }
    }

    /// A sparse chunk with what is live in this one up to position `filled`. Keys and values are shared; they are
    /// charged to both while both are there.
    pub(crate) fn without_dead(&self, filled: u64, account: &Account) -> Self {
        let live = || self.entries(self.start, filled).filter(|(_, slot)| slot.is_live());
        let positions: Box<[u64]> = live().map(|(position, _)| position).collect();
        let slots: Box<[Slot]> =
            live().filter_map(|(_, slot)| slot.item()).cloned().map(Slot::filled).collect();
        let payload: usize = slots.iter().filter_map(Slot::item).map(Item::payload_bytes).sum();
        let charge = account.charge(slots.len() * (SLOT_BYTES + size_of::<u64>()) + payload);
        Self { start: self.start, positions: Some(positions), slots, charge }
    }

    /// Where it starts: no slot has a lower position.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// How many slots it has, filled or not.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Of a dense chunk: the position after its last slot.
    pub(crate) fn dense_end(&self) -> u64 {
        self.start + self.slots.len() as u64
    }

    /// Bytes it keeps alive: slots, keys, values.
    pub(crate) fn bytes(&self) -> usize {
        self.charge.bytes()
    }

    /// Fills the slot at `position`. Returns whether it was empty, which it always is for the queue's next position.
    pub(crate) fn fill(&self, position: u64, item: Item) -> bool {
        let payload = item.payload_bytes();
        let Some(slot) = self.slot(position) else { return false };
        let filled = slot.item.set(item).is_ok();
        if filled {
            self.charge.add(payload);
        }
        filled
    }

    /// Marks the item at `position` as replaced by the revision with seqno `by`.
    pub(crate) fn supersede(&self, position: u64, by: Seqno) {
        if let Some(slot) = self.slot(position) {
            slot.superseded_by.store(by.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn slot(&self, position: u64) -> Option<&Slot> {
        let index = match &self.positions {
            None => usize::try_from(position.checked_sub(self.start)?).ok()?,
            Some(positions) => positions.binary_search(&position).ok()?,
        };
        self.slots.get(index)
    }

    /// The slots with positions in `from..to`, in order.
    pub(crate) fn slots(&self, from: u64, to: u64) -> &[Slot] {
        self.slots.get(self.index(from)..self.index(to)).unwrap_or(&[])
    }

    /// The slots with positions in `from..to`, in order, each with its position.
    pub(crate) fn entries(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = (u64, &Slot)> {
        let first = self.index(from);
        let slots = self.slots(from, to).iter().enumerate();
        slots.map(move |(offset, slot)| (self.position(first + offset), slot))
    }

    /// The position after the last slot in `from..to` whose seqno is at most `after`, `from` or the chunk's start if
    /// there is none.
    pub(crate) fn seek(&self, from: u64, to: u64, after: Seqno) -> u64 {
        let slots = self.slots(from, to);
        let count = slots.partition_point(|slot| slot.item().is_some_and(|item| item.seqno <= after));
        match count.checked_sub(1) {
            Some(last) => self.position(self.index(from) + last) + 1,
            None => from.max(self.start),
        }
    }

    /// The index of the first slot at or after `position`.
    fn index(&self, position: u64) -> usize {
        match &self.positions {
            None => (position.saturating_sub(self.start)).min(self.slots.len() as u64) as usize,
            Some(positions) => positions.partition_point(|&at| at < position),
        }
    }

    fn position(&self, index: usize) -> u64 {
        match &self.positions {
            None => self.start + index as u64,
            Some(positions) => positions.get(index).copied().unwrap_or(u64::MAX),
        }
    }
}

//! A chunk: a run of slots with consecutive positions, shared by `Arc` between the queue and the batches read from it.
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

/// Bytes a queued item costs beyond its key and value: its slot and its entry in the key index.
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
    slots: Box<[Slot]>,
    charge: Charge,
}

impl Chunk {
    pub(crate) fn new(start: u64, capacity: usize, account: &Account) -> Self {
        let slots = (0..capacity).map(|_| Slot::empty()).collect();
        Self { start, slots, charge: account.charge(capacity * SLOT_BYTES) }
    }

    /// Position of its first slot.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Position after its last slot, filled or not.
    pub(crate) fn end(&self) -> u64 {
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
        let index = position.checked_sub(self.start)?;
        self.slots.get(usize::try_from(index).ok()?)
    }

    /// The slots with positions in `from..to`, in order.
    pub(crate) fn slots(&self, from: u64, to: u64) -> &[Slot] {
        let clamp = |position: u64| (position.clamp(self.start, self.end()) - self.start) as usize;
        self.slots.get(clamp(from)..clamp(to)).unwrap_or(&[])
    }
}

//! Eviction: a clock over the entries that the engine has, too.
//!
//! A hand passes over the entries. It evicts those that were not found since it last passed. An
//! operation moves the hand by a few entries at most, so no operation waits for an eviction of many.
//!
//! # Invariants
//! - Only an evictable entry is removed (D2).
//! - While the budget is exceeded, no clean revision enters, and each operation moves the hand (D4).

use lowtide_checkpoint::Key;

use super::documents::Documents;

/// Entries that an operation examines at most. More than one operation inserts, so that memory falls
/// to the limit after revisions that were not persisted become clean.
const EXAMINED_MAX: usize = 8;

impl Documents {
    /// Examines up to `entries` entries, and evicts until the budget is below its mark. Returns the
    /// bytes that were freed.
    ///
    /// An entry that was found since it was last examined stays, once. So two rounds over all
    /// entries evict whatever can be. The host calls it when [`CacheBudget::is_above_mark`], after a
    /// flush or on a thread of its own, with as many entries as its lock may be held for.
    ///
    /// [`CacheBudget::is_above_mark`]: super::CacheBudget::is_above_mark
    pub fn evict(&mut self, entries: usize) -> usize {
        let before = self.charged;
        for _ in 0..entries {
            if self.table.len() == 0 || !self.budget.is_above_mark() {
                break;
            }
            self.move_hand();
        }
        before.saturating_sub(self.charged)
    }

    /// Evicts a few entries, if the budget is exceeded.
    pub(super) fn make_room(&mut self) {
        for _ in 0..EXAMINED_MAX {
            if self.table.len() == 0 || !self.budget.is_exceeded() {
                break;
            }
            self.move_hand();
        }
    }

    /// Makes room for an entry that has entered, and removes it again if there is none.
    pub(super) fn admit(&mut self, key: &Key) {
        self.make_room();
        if self.budget.is_exceeded()
            && let Some(slot) = self.table.find(key)
            && self.is_evictable(slot)
        {
            self.evict_at(slot);
        }
    }

    /// Examines the entry at the hand.
    fn move_hand(&mut self) {
        if self.hand >= self.table.len() {
            self.hand = 0;
        }
        let slot = self.hand;
        self.hand += 1;
        if !self.is_evictable(slot) {
            return;
        }
        match self.table.usage_mut(slot) {
            Some(usage) if usage.is_used => usage.is_used = false,
            // The last entry moves to the slot. The hand has passed it: it is one of the newest, and
            // has a round before it.
            _ => self.evict_at(slot),
        }
    }

    fn is_evictable(&self, slot: usize) -> bool {
        self.table
            .get(slot)
            .is_some_and(|entry| entry.is_evictable(self.persisted))
    }

    fn evict_at(&mut self, slot: usize) {
        self.evictions += 1;
        self.table.remove(slot);
        self.settle();
    }
}

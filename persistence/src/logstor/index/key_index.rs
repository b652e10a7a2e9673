//! The index itself: slots in the order of seqnos, and a hash table from fingerprints to slots.
//!
//! # Invariants (L9)
//!
//! - The table has each slot once, slots ascend by seqno, counts are exact.
//! - Superseded revisions that a pinned snapshot shows are in the overlay.
//! - `other_copies` of a slot is at least the number of other records of its key that a restart
//!   would find and take for it if the slot were gone (L16). So a tombstone may be removed when it
//!   is 0. A record is counted until the segment that holds it was durably freed. At its highest
//!   value the number stays there until the next start.
//!
//! A slot has 40 bytes. Chunks drop their dead slots at a quarter, and the table is at least seven
//! sixteenths full.

use std::ops::ControlFlow;

use hashbrown::HashTable;
use lowtide_checkpoint::internal::{Invariant, checked_invariant};

use super::reference_counts::ReferenceCounts;
use super::slots::{Slot, Slots};
use super::snapshot_overlay::SnapshotOverlay;
use crate::fault::{self, Fault};
use crate::logstor::format::{Fingerprint, Location};

#[cfg(test)]
mod tests;

/// Returns the hash of a slot, for the table to grow. A number without a slot breaks the index, and
/// any hash will do.
fn hash_of(slots: &Slots, id: u32) -> u64 {
    slots.get(id).map_or(0, |slot| slot.fingerprint.hash())
}

/// The index of a vBucket.
#[derive(Debug, Default)]
pub(in crate::logstor) struct KeyIndex {
    slots: Slots,
    table: HashTable<u32>,
    overlay: SnapshotOverlay,
}

impl KeyIndex {
    /// Reserves memory for more keys.
    pub(in crate::logstor) fn reserve(&mut self, keys: usize) {
        let Self { table, slots, .. } = self;
        table.reserve(keys, |&id| hash_of(slots, id));
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<u32> {
        self.table
            .find(fingerprint.hash(), |&id| {
                self.slots
                    .get(id)
                    .is_some_and(|slot| slot.fingerprint == fingerprint)
            })
            .copied()
    }

    /// Returns the newest revision of a key.
    pub(in crate::logstor) fn get(&self, fingerprint: Fingerprint) -> Option<Slot> {
        self.slots.get(self.find(fingerprint)?).copied()
    }

    /// Inserts a revision with a higher seqno than any. Returns the one it supersedes, which moves
    /// to the overlay if a snapshot shows it.
    pub(in crate::logstor) fn insert(
        &mut self,
        mut slot: Slot,
        counts: ReferenceCounts<'_>,
        pinned: impl Fn(u64) -> bool,
    ) -> Option<Slot> {
        counts.add(slot.location);
        // Before the key's slot is looked up, because it may get another number.
        self.make_room();
        let before = self.find(slot.fingerprint);
        let old = before.and_then(|id| self.slots.get(id)).copied();
        // At its highest value it stays there (L16).
        slot.other_copies = old.map_or(slot.other_copies, |old| {
            old.other_copies
                .saturating_add(1)
                .saturating_add(slot.other_copies)
        });
        let id = self.slots.push(slot);
        match before {
            Some(before) => {
                let entry = self
                    .table
                    .find_mut(slot.fingerprint.hash(), |&id| id == before);
                match entry {
                    Some(entry) => *entry = id,
                    None => self.slots.mark_broken(),
                }
                self.kill(before);
            }
            None => {
                let Self { table, slots, .. } = self;
                table.insert_unique(slot.fingerprint.hash(), id, |&id| hash_of(slots, id));
            }
        }
        if let Some(old) = old {
            if pinned(old.seqno) {
                self.overlay.insert(old, slot.seqno);
            } else {
                counts.remove(old.location);
            }
        }
        old
    }

    /// Inserts a new key with a higher seqno than any. The caller counts the reference.
    pub(in crate::logstor) fn push(&mut self, slot: Slot) {
        checked_invariant!(
            self.find(slot.fingerprint).is_none(),
            "L9",
            "a key has one slot"
        );
        self.make_room();
        let id = self.slots.push(slot);
        let Self { table, slots, .. } = self;
        table.insert_unique(slot.fingerprint.hash(), id, |&id| hash_of(slots, id));
    }

    /// Removes a key.
    pub(in crate::logstor) fn remove(
        &mut self,
        fingerprint: Fingerprint,
        counts: ReferenceCounts<'_>,
    ) {
        let Some(id) = self.find(fingerprint) else {
            return;
        };
        let Some(slot) = self.slots.get(id).copied() else {
            return;
        };
        match self.table.find_entry(fingerprint.hash(), |&of| of == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => self.slots.mark_broken(),
        }
        self.kill(id);
        counts.remove(slot.location);
    }

    fn kill(&mut self, id: u32) {
        self.renumbering(|slots, moved| slots.kill(id, moved));
    }

    fn make_room(&mut self) {
        self.renumbering(|slots, moved| slots.make_room(moved));
    }

    /// Changes the slots, and gives the table the new numbers of those that are renumbered.
    #[inline]
    fn renumbering(
        &mut self,
        change: impl FnOnce(&mut Slots, &mut dyn FnMut(Fingerprint, u32, u32)),
    ) {
        let table = &mut self.table;
        let mut are_moved = true;
        change(&mut self.slots, &mut |fingerprint, from, to| {
            let entry = table.find_mut(fingerprint.hash(), |&id| id == from);
            match entry {
                Some(entry) => *entry = to,
                None => are_moved = false,
            }
        });
        if !are_moved {
            self.slots.mark_broken();
        }
    }

    /// Returns whether the index contradicts itself: nothing may be built on it (L48).
    pub(in crate::logstor) fn is_broken(&self) -> bool {
        self.slots.is_broken()
    }

    /// Marks the index as contradicting itself.
    #[cfg(test)]
    pub(in crate::logstor) fn break_it(&self) {
        self.slots.break_it();
    }

    /// Returns whether the index references a record, as the newest or in the overlay.
    pub(in crate::logstor) fn references(
        &self,
        fingerprint: Fingerprint,
        seqno: u64,
        location: Location,
    ) -> bool {
        let newest = self
            .get(fingerprint)
            .is_some_and(|slot| slot.seqno == seqno && slot.location == location);
        newest
            || self
                .overlay
                .get(seqno)
                .is_some_and(|old| old.slot.location == location)
    }

    /// References a record's copy in its place, if the index still references the record at its old
    /// location (L10, L32). Either way one more record of the key is on disk. Returns whether the
    /// copy is referenced.
    pub(in crate::logstor) fn relocate(
        &mut self,
        fingerprint: Fingerprint,
        seqno: u64,
        from: Location,
        to: Location,
        counts: ReferenceCounts<'_>,
    ) -> bool {
        let mut moved = false;
        if let Some(id) = self.find(fingerprint)
            && let Some(slot) = self.slots.get_mut(id)
        {
            slot.other_copies = slot.other_copies.saturating_add(1);
            let is_referenced = slot.seqno == seqno && slot.location == from;
            if is_referenced || fault::is(Fault::RelocatedAnyway) {
                counts.add(to);
                slot.location = to;
                counts.remove(from);
                moved = true;
            }
        }
        if let Some(old) = self
            .overlay
            .get_mut(seqno)
            .filter(|old| old.slot.location == from)
        {
            counts.add(to);
            old.slot.location = to;
            counts.remove(from);
            moved = true;
        }
        moved
    }

    /// Counts off a record of the key that was durably freed. Returns the slot if its own record is
    /// the last one.
    pub(in crate::logstor) fn count_off_copy(&mut self, fingerprint: Fingerprint) -> Option<Slot> {
        let id = self.find(fingerprint)?;
        let slot = self.slots.get_mut(id)?;
        // At the highest value the exact number is unknown.
        if slot.other_copies != u16::MAX {
            // A tombstone that counts too few could be removed before the records that it hides. So
            // a count of 0 stays, and the tombstone with it.
            slot.other_copies = slot
                .other_copies
                .checked_sub(1)
                .expected("L16", "a record that is freed was counted")?;
        }
        (slot.other_copies == 0).then_some(*slot)
    }

    /// Returns the revision of a key in a snapshot at `high`, tombstones included.
    pub(in crate::logstor) fn get_at(&self, fingerprint: Fingerprint, high: u64) -> Option<Slot> {
        let newest = self.get(fingerprint)?;
        if newest.seqno <= high {
            Some(newest)
        } else {
            self.overlay.get_at(fingerprint, high)
        }
    }

    /// Returns the revisions in a snapshot at `high` from a seqno on, ascending, tombstones
    /// included.
    pub(in crate::logstor) fn iter_at(&self, from: u64, high: u64) -> impl Iterator<Item = Slot> {
        let mut newest = self
            .slots
            .iter_from(from)
            .take_while(move |slot| slot.seqno <= high)
            .peekable();
        let mut older = self.overlay.iter_at(from, high).peekable();
        std::iter::from_fn(move || match (newest.peek(), older.peek()) {
            (Some(slot), Some(old)) if old.seqno < slot.seqno => older.next(),
            (Some(_), _) => newest.next().copied(),
            (None, _) => older.next(),
        })
    }

    /// Same as [`KeyIndex::iter_at`], with a visitor that may break off: cheaper.
    pub(in crate::logstor) fn walk_at(
        &self,
        from: u64,
        high: u64,
        mut visit: impl FnMut(&Slot) -> ControlFlow<()>,
    ) {
        // The visitor knows that it broke off.
        let _ = if self.overlay.len() == 0 {
            self.slots.walk_from(from, |slot| {
                if slot.seqno <= high {
                    visit(slot)
                } else {
                    ControlFlow::Break(())
                }
            })
        } else {
            self.iter_at(from, high).try_for_each(|slot| visit(&slot))
        };
    }

    /// Returns the locations of all referenced records.
    pub(in crate::logstor) fn locations(&self) -> impl Iterator<Item = Location> {
        let newest = self.slots.iter_from(0).map(|slot| slot.location);
        newest.chain(self.overlay.iter().map(|old| old.slot.location))
    }

    /// Removes revisions from the overlay that no snapshot shows. `pinned` returns whether a
    /// snapshot has a seqno in a range, its end excluded.
    pub(in crate::logstor) fn trim_overlay(
        &mut self,
        counts: ReferenceCounts<'_>,
        pinned: impl Fn(u64, u64) -> bool,
    ) {
        self.overlay
            .retain(|old| pinned(old.slot.seqno, old.superseded_by), counts);
    }

    pub(in crate::logstor) fn len(&self) -> usize {
        self.table.len()
    }

    pub(in crate::logstor) fn overlay_len(&self) -> usize {
        self.overlay.len()
    }

    /// Returns the memory of slots, table and overlay.
    pub(in crate::logstor) fn memory_bytes(&self) -> usize {
        self.slots.memory_bytes() + self.table.allocation_size() + self.overlay.memory_bytes()
    }

    /// Returns violations of its invariants, one line each.
    pub(in crate::logstor) fn check(&self) -> Vec<String> {
        let mut wrong = self.slots.check();
        let mut last = None;
        let mut count = 0;
        for slot in self.slots.iter_from(0) {
            count += 1;
            if last.is_some_and(|last| last >= slot.seqno) {
                wrong.push(format!("the index does not ascend at seqno {}", slot.seqno));
            }
            last = Some(slot.seqno);
            if self
                .get(slot.fingerprint)
                .is_none_or(|found| found.seqno != slot.seqno)
            {
                wrong.push(format!("the table does not lead to seqno {}", slot.seqno));
            }
        }
        if count != self.table.len() {
            wrong.push(format!("{count} slots, {} in the table", self.table.len()));
        }
        wrong
    }
}

//! The index of a vBucket: which record is the newest of each key, and where it lies; by key and in the order of seqnos.
//!
//! Keys are known by their fingerprints. A key has one slot; slots lie in chunks in the order of their seqnos, and a hash
//! table leads from a fingerprint to its slot. What always holds (L9):
//!
//! - the table has each slot once; slots ascend by seqno; counts are exact;
//! - revisions that a newer one has replaced, and that a pinned snapshot still shows, are in the overlay ([`history`]);
//! - `stale` is at least the number of other records of the key that a restart would find and take for it, were the slot
//!   gone: so a tombstone may be given up when it is 0. It counts every record but the one the slot names, until the
//!   segment that holds it was durably freed; at its highest value it stays there until the next start.
//!
//! A slot has 40 bytes; chunks lose their dead at a quarter, the table is at least seven sixteenths full.

mod history;
mod slots;

use std::ops::ControlFlow;

use hashbrown::HashTable;

use crate::fault::{self, Fault};

use super::fingerprint::Fingerprint;
use super::segment::{Location, Segment};
use super::segments::Table;

use self::history::History;
use self::slots::Slots;

pub(super) use self::slots::Slot;

/// Counts references to records.
#[derive(Clone, Copy)]
pub(super) struct Live<'a>(pub(super) &'a Table);

impl Live<'_> {
    fn segment(&self, id: u32) -> Option<&Segment> {
        self.0.get(id as usize)?.as_deref()
    }

    pub(super) fn add(&self, location: Location) {
        if let Some(segment) = self.segment(location.segment) {
            segment.add(location);
        }
    }

    pub(super) fn remove(&self, location: Location) {
        if let Some(segment) = self.segment(location.segment) {
            segment.remove(location);
        }
    }
}

/// References that are counted together: a counter has to be everybody's for each.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(u64, u64)>);

impl Tally {
    pub(super) fn add(&mut self, location: Location) {
        let at = location.segment as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, (0, 0));
        }
        if let Some((bytes, records)) = self.0.get_mut(at) {
            *bytes += u64::from(location.len);
            *records += 1;
        }
    }

    pub(super) fn count(&self, live: Live<'_>) {
        for (id, &(bytes, records)) in (0..).zip(&self.0) {
            if let Some(segment) = live.segment(id).filter(|_| records > 0) {
                segment.add_all(bytes, records);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    slots: Slots,
    table: HashTable<u32>,
    history: History,
}

impl Index {
    /// Room for so many keys more.
    pub(super) fn reserve(&mut self, keys: usize) {
        let Self { table, slots, .. } = self;
        table.reserve(keys, |&id| slots.get(id).fingerprint.hash());
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<u32> {
        self.table
            .find(fingerprint.hash(), |&id| {
                self.slots.get(id).fingerprint == fingerprint
            })
            .copied()
    }

    /// The newest revision of a key.
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<Slot> {
        self.find(fingerprint).map(|id| *self.slots.get(id))
    }

    /// Takes in a revision with a higher seqno than any. The one it replaces, which is returned, goes into the overlay if
    /// a snapshot shows it.
    pub(super) fn insert(
        &mut self,
        mut slot: Slot,
        live: Live<'_>,
        pinned: impl Fn(u64) -> bool,
    ) -> Option<Slot> {
        live.add(slot.location);
        let before = self.find(slot.fingerprint);
        let old = before.map(|id| *self.slots.get(id));
        slot.stale = old.map_or(slot.stale, |old| {
            old.stale.saturating_add(1).saturating_add(slot.stale)
        });
        let id = self.slots.push(slot);
        match before {
            Some(before) => {
                if let Some(entry) = self
                    .table
                    .find_mut(slot.fingerprint.hash(), |&id| id == before)
                {
                    *entry = id;
                }
                self.kill(before);
            }
            None => {
                let Self { table, slots, .. } = self;
                table.insert_unique(slot.fingerprint.hash(), id, |&id| {
                    slots.get(id).fingerprint.hash()
                });
            }
        }
        if let Some(old) = old {
            if pinned(old.seqno) {
                self.history.insert(old, slot.seqno);
            } else {
                live.remove(old.location);
            }
        }
        old
    }

    /// Takes in a key that it does not have, with a higher seqno than any. Whoever calls counts the reference.
    pub(super) fn push(&mut self, slot: Slot) {
        let id = self.slots.push(slot);
        let Self { table, slots, .. } = self;
        table.insert_unique(slot.fingerprint.hash(), id, |&id| {
            slots.get(id).fingerprint.hash()
        });
    }

    /// Gives up a key.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint, live: Live<'_>) {
        let Some(id) = self.find(fingerprint) else {
            return;
        };
        let slot = *self.slots.get(id);
        if let Ok(entry) = self.table.find_entry(fingerprint.hash(), |&of| of == id) {
            entry.remove();
        }
        self.kill(id);
        live.remove(slot.location);
    }

    fn kill(&mut self, id: u32) {
        let table = &mut self.table;
        self.slots.kill(id, |fingerprint, from, to| {
            if let Some(entry) = table.find_mut(fingerprint.hash(), |&id| id == from) {
                *entry = to;
            }
        });
    }

    /// Whether it contradicts itself: nothing may be built on it.
    pub(super) fn is_broken(&self) -> bool {
        self.slots.is_broken()
    }

    /// Makes it so, for tests.
    #[cfg(test)]
    pub(super) fn break_it(&self) {
        self.slots.break_it();
    }

    /// Whether a record is what the index names, as the newest or in the overlay.
    pub(super) fn names(&self, fingerprint: Fingerprint, seqno: u64, location: Location) -> bool {
        let newest = self
            .get(fingerprint)
            .is_some_and(|slot| slot.seqno == seqno && slot.location == location);
        newest
            || self
                .history
                .get(seqno)
                .is_some_and(|old| old.slot.location == location)
    }

    /// Names the copy of a record in its place, if the index still names the record where it was (L10, L32). Either way one
    /// more record of the key is on the disk now. Returns whether the copy is what counts.
    pub(super) fn relocate(
        &mut self,
        fingerprint: Fingerprint,
        seqno: u64,
        from: Location,
        to: Location,
        live: Live<'_>,
    ) -> bool {
        let mut moved = false;
        if let Some(id) = self.find(fingerprint) {
            let slot = self.slots.get_mut(id);
            slot.stale = slot.stale.saturating_add(1);
            let is_named = slot.seqno == seqno && slot.location == from;
            if is_named || fault::is(Fault::RelocatedAnyway) {
                live.add(to);
                slot.location = to;
                live.remove(from);
                moved = true;
            }
        }
        if let Some(old) = self
            .history
            .get_mut(seqno)
            .filter(|old| old.slot.location == from)
        {
            live.add(to);
            old.slot.location = to;
            live.remove(from);
            moved = true;
        }
        moved
    }

    /// A record of the key was durably taken off the disk. The slot, if that was the last one beside its own.
    pub(super) fn forget_stale(&mut self, fingerprint: Fingerprint) -> Option<Slot> {
        let id = self.find(fingerprint)?;
        let slot = self.slots.get_mut(id);
        // At the highest value nobody knows how many there are.
        if slot.stale != u16::MAX {
            slot.stale = slot.stale.saturating_sub(1);
        }
        (slot.stale == 0).then_some(*slot)
    }

    /// What a snapshot at `high` shows of a key, tombstones included.
    pub(super) fn get_at(&self, fingerprint: Fingerprint, high: u64) -> Option<Slot> {
        let newest = self.get(fingerprint)?;
        if newest.seqno <= high {
            Some(newest)
        } else {
            self.history.get_at(fingerprint, high)
        }
    }

    /// What a snapshot at `high` shows from a seqno on, ascending, tombstones included.
    pub(super) fn iter_at(&self, from: u64, high: u64) -> impl Iterator<Item = Slot> {
        let mut newest = self
            .slots
            .iter_from(from)
            .take_while(move |slot| slot.seqno <= high)
            .peekable();
        let mut older = self.history.iter_at(from, high).peekable();
        std::iter::from_fn(move || match (newest.peek(), older.peek()) {
            (Some(slot), Some(old)) if old.seqno < slot.seqno => older.next(),
            (Some(_), _) => newest.next().copied(),
            (None, _) => older.next(),
        })
    }

    /// As [`Index::iter_at`], shown until `see` breaks off: cheaper.
    pub(super) fn walk_at(
        &self,
        from: u64,
        high: u64,
        mut see: impl FnMut(&Slot) -> ControlFlow<()>,
    ) {
        // What broke it off knows.
        let _ = if self.history.len() == 0 {
            self.slots.walk_from(from, |slot| match slot.seqno <= high {
                true => see(slot),
                false => ControlFlow::Break(()),
            })
        } else {
            self.iter_at(from, high).try_for_each(|slot| see(&slot))
        };
    }

    /// Every reference it has.
    pub(super) fn references(&self) -> impl Iterator<Item = Location> {
        let newest = self.slots.iter_from(0).map(|slot| slot.location);
        newest.chain(self.history.iter().map(|old| old.slot.location))
    }

    /// Lets go of what no snapshot shows any more; `pinned` says whether one has a seqno in a range, its end excluded.
    pub(super) fn trim_history(&mut self, live: Live<'_>, pinned: impl Fn(u64, u64) -> bool) {
        self.history
            .retain(|old| pinned(old.slot.seqno, old.superseded_by), live);
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn history_len(&self) -> usize {
        self.history.len()
    }

    /// Memory of slots and table.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.memory_bytes() + self.table.allocation_size() + self.history.memory_bytes()
    }

    /// What is wrong with it, a line each.
    pub(super) fn check(&self) -> Vec<String> {
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

#[cfg(test)]
mod tests;

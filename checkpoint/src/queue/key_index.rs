//! The key index of the open checkpoint: the position of each key's newest revision in the queue.
//!
//! It is an open-addressed table with linear probing. It stores positions, not keys: an entry below
//! the queue's base is stale and means "absent", so expelling touches no entry. Stale entries are
//! reused by the next key that probes past them, and swept when the table would otherwise grow.
//!
//! Two facts about a key outlive its item: that it was a prepare, or history. They are in a small
//! side map from the moment the item is queued.
//!
//! # Invariants
//! - At most one entry of a key is not stale. A probe for the key, from its home to the first empty
//!   entry, passes that one.
//! - At least a quarter of the entries is empty, so every probe ends.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::queue::{Queue, SlotRef};
use crate::internal::invariant::{Invariant, checked_invariant};
use crate::model::{Item, Key, Namespace};

/// Smallest size of a table.
const ENTRIES_MIN: usize = 64;
/// Largest initial size of a table. The table before it decides.
const INITIAL_ENTRIES_MAX: usize = 2048;

/// An unused entry.
const EMPTY: u64 = 0;

/// The restrictions that a key's items place on later ones, even after they were expelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DedupRestrictions {
    /// The key had a prepare: the next prepare or abort of the key needs a new checkpoint.
    pub(crate) prepared: bool,
    /// The key had a history item: the next history item needs a new checkpoint.
    pub(crate) history: bool,
}

/// The place of a key in the index, present or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSlot {
    hash: u32,
    entry: usize,
    pub(crate) resident: Option<Resident>,
}

/// The resident revision of a key: the data that decides whether it may be replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) position: u64,
    pub(crate) at: SlotRef,
    /// Whether it is part of a durable write.
    pub(crate) sync_write: bool,
    pub(crate) history: bool,
}

/// A hash table of positions, and the restrictions that outlive their items.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    /// Entries, 0 or a power of two of them. The high half is a hash, the low half the position
    /// less `origin`, plus 1.
    entries: Box<[u64]>,
    /// Number of entries that are not empty.
    used: usize,
    /// Smallest size of the first table after the index was created or cleared.
    initial_entries: usize,
    /// Lower bound of all positions in the entries.
    origin: u64,
    restrictions: HashMap<(Namespace, Key), DedupRestrictions, FixedState>,
    /// Bytes of the keys in `restrictions`, which may outlive their items.
    restricted_key_bytes: usize,
    hasher: FixedState,
}

impl KeyIndex {
    /// Creates an index for items at or above position `origin`.
    pub(crate) fn new(origin: u64) -> Self {
        // A fixed seed: no order depends on it, but equal runs must cost equal memory.
        let hasher = FixedState::default();
        Self {
            entries: Box::default(),
            used: 0,
            initial_entries: ENTRIES_MIN,
            origin,
            restrictions: HashMap::with_hasher(hasher.clone()),
            restricted_key_bytes: 0,
            hasher,
        }
    }

    /// Makes room for one more key. Amortised O(1). Returns the old table if it was replaced, to be
    /// dropped outside the lock.
    pub(crate) fn reserve(&mut self, queue: &Queue) -> Option<Box<[u64]>> {
        let is_far = queue.end() - self.origin >= u64::from(u32::MAX);
        let has_room = self.used * 4 < self.entries.len() * 3;
        if has_room && !is_far {
            None
        } else {
            Some(self.rebuild(queue.base()))
        }
    }

    /// Returns whether a position is too far from `origin` for an entry. This ends a checkpoint
    /// once in four thousand million operations, and only with a stalled reader.
    pub(crate) fn is_exhausted(&self, position: u64) -> bool {
        position - self.origin >= u64::from(u32::MAX)
    }

    /// Returns the place of `key`, present or not. There must be room.
    pub(crate) fn find(&self, queue: &Queue, namespace: Namespace, key: &Key) -> IndexSlot {
        let hash = self.hash(namespace, key);
        // An empty table has no entry, whatever the mask.
        let mask = self.entries.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        let mut reusable = None;
        while let Some(&entry) = self.entries.get(at)
            && entry != EMPTY
        {
            let position = self.position(entry);
            if position < queue.base() {
                reusable = reusable.or(Some(at));
            } else if (entry >> 32) as u32 == hash
                && let Some((found, item)) = queue.live_item(position)
                && is_revision_of(item, namespace, key)
            {
                let sync_write = item.operation.is_sync_write();
                let history = item.history;
                let resident = Some(Resident {
                    position,
                    at: found,
                    sync_write,
                    history,
                });
                return IndexSlot {
                    hash,
                    entry: at,
                    resident,
                };
            }
            at = (at + 1) & mask;
        }
        IndexSlot {
            hash,
            entry: reusable.unwrap_or(at),
            resident: None,
        }
    }

    /// Returns the restrictions of the key's items, resident or not.
    pub(crate) fn restrictions(&self, namespace: Namespace, key: &Key) -> DedupRestrictions {
        if self.restrictions.is_empty() {
            return DedupRestrictions::default();
        }
        self.restrictions
            .get(&(namespace, key.clone()))
            .copied()
            .unwrap_or_default()
    }

    /// Records that the key found at `slot` now has its newest revision at `position`.
    pub(crate) fn insert(&mut self, slot: IndexSlot, position: u64) {
        checked_invariant!(
            position >= self.origin && !self.is_exhausted(position),
            "C6",
            "a position fits into an index entry"
        );
        // Without an entry the key is not found, and its next revision does not replace this one.
        if let Some(entry) = self
            .entries
            .get_mut(slot.entry)
            .expected("C6", "a key's place is in the index")
        {
            self.used += usize::from(*entry == EMPTY);
            *entry = u64::from(slot.hash) << 32 | (position - self.origin + 1);
        }
    }

    /// Records the restrictions that an item places on its key, also after it was expelled.
    pub(crate) fn restrict(
        &mut self,
        namespace: Namespace,
        key: &Key,
        prepared: bool,
        history: bool,
    ) {
        let restrictions = self
            .restrictions
            .entry((namespace, key.clone()))
            .or_insert_with(|| {
                self.restricted_key_bytes += key.encoded().len();
                DedupRestrictions::default()
            });
        restrictions.prepared |= prepared;
        restrictions.history |= history;
    }

    /// Returns whether an expelled item may still restrict its key.
    pub(crate) fn has_restrictions(&self) -> bool {
        !self.restrictions.is_empty()
    }

    /// Removes all entries, which must be stale. Returns the table, to be dropped outside the lock.
    /// The next table starts at the size that this one used.
    pub(crate) fn clear(&mut self, origin: u64) -> Box<[u64]> {
        let entries_used = std::mem::take(&mut self.used);
        let used = if entries_used * 4 >= self.entries.len() {
            self.entries.len()
        } else {
            self.entries.len() / 2
        };
        if entries_used > 0 {
            self.initial_entries = used.min(INITIAL_ENTRIES_MAX);
        }
        self.origin = origin;
        std::mem::take(&mut self.entries)
    }

    /// Returns the bytes of the tables, and of the keys in the side map.
    pub(crate) fn bytes(&self) -> usize {
        let side = size_of::<(Namespace, Key, DedupRestrictions)>();
        size_of_val(&*self.entries)
            + self.restrictions.capacity() * side
            + self.restricted_key_bytes
    }

    /// Returns every position in the entries, in no order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.entries
            .iter()
            .filter(|&&entry| entry != EMPTY)
            .map(|&entry| self.position(entry))
    }

    fn position(&self, entry: u64) -> u64 {
        self.origin + u64::from(entry as u32) - 1
    }

    fn hash(&self, namespace: Namespace, key: &Key) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        key.hash_into(&mut hasher, namespace as u8);
        (hasher.finish() >> 32) as u32
    }

    /// Moves the entries that are not stale to a table with at least twice as much room. Returns
    /// the old table.
    fn rebuild(&mut self, base: u64) -> Box<[u64]> {
        let live = self
            .positions()
            .filter(|&position| position >= base)
            .count();
        // At most half of the entries are used then, so the next rebuild is at least a quarter
        // away.
        let least = if self.entries.is_empty() {
            self.initial_entries.max(ENTRIES_MIN)
        } else {
            ENTRIES_MIN
        };
        let entries = (2 * live + 1).next_power_of_two().max(least);
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; entries].into_boxed_slice());
        let origin = self.origin;
        let mask = entries - 1;
        self.origin = self.origin.max(base);
        self.used = live;
        for entry in old.iter().copied().filter(|&entry| entry != EMPTY) {
            let hash = entry >> 32;
            let position = origin + u64::from(entry as u32) - 1;
            if position < base {
                continue;
            }
            let mut at = hash as usize & mask;
            while self.entries.get(at).is_some_and(|&entry| entry != EMPTY) {
                at = (at + 1) & mask;
            }
            // Without an entry the key is not found, and its next revision does not replace this one.
            if let Some(free) = self
                .entries
                .get_mut(at)
                .expected("C6", "an index has a free entry")
            {
                *free = hash << 32 | (position - self.origin + 1);
            }
        }
        old
    }
}

fn is_revision_of(item: &Item, namespace: Namespace, key: &Key) -> bool {
    item.key == *key && item.operation.namespace() == Some(namespace)
}

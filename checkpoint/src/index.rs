//! The key index of the open checkpoint: where the newest revision of each key stands in the queue.
//!
//! An open-addressed table with linear probing. It stores positions, not keys: an entry below the queue's base is stale
//! and means "absent", so expelling touches no entry. Stale entries are taken by the next key that probes past them, and
//! swept when the table would otherwise grow. What must still be known of a key after its item was expelled (that it was
//! a prepare, or history) stands in a small side map from the moment it is queued.
//!
//! What always holds: of a key's entries at most one is not stale; a probe for it, from its home to the first empty
//! entry, passes that one; at least a quarter of the entries is empty, so every probe ends.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::queue::{At, Queue};
use crate::{Item, Key, Namespace};

/// What a key costs in a table that is half full.
pub(crate) const ENTRY_BYTES: usize = 2 * size_of::<u64>();

/// The smallest table.
const ENTRIES_MIN: usize = 64;
/// The largest that one begins with because the one before it was of use.
const ENTRIES_AT_ONCE_MAX: usize = 2048;

/// An entry nobody has taken.
const EMPTY: u64 = 0;

/// What an expelled item of a key still forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forbids {
    /// It was a prepare: the next prepare or abort of its key needs a new checkpoint.
    pub(crate) prepared: bool,
    /// It was history: so does the next history item.
    pub(crate) history: bool,
}

/// Where a key stands in the index, or would.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    hash: u32,
    entry: usize,
    pub(crate) resident: Option<Resident>,
}

/// The resident revision of a key, as far as it matters for what may replace it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) position: u64,
    pub(crate) at: At,
    /// It is part of a durable write.
    pub(crate) sync_write: bool,
    pub(crate) history: bool,
}

#[derive(Debug)]
pub(crate) struct KeyIndex {
    /// A power of two of entries, or none: a hash above, and below it the position less `origin`, plus 1.
    entries: Box<[u64]>,
    /// Entries that are not empty.
    taken: usize,
    /// The least the first table has.
    entries_at_once: usize,
    /// No entry names a position below.
    origin: u64,
    forbidden: HashMap<(Namespace, Key), Forbids, FixedState>,
    /// Bytes of the keys in `forbidden`, which may outlive their items.
    forbidden_key_bytes: usize,
    hasher: FixedState,
}

impl KeyIndex {
    /// An index for items at or above position `origin`.
    pub(crate) fn new(origin: u64) -> Self {
        // A fixed seed: the order of nothing depends on it, but equal runs must cost equal memory.
        let hasher = FixedState::default();
        Self {
            entries: Box::default(),
            taken: 0,
            entries_at_once: ENTRIES_MIN,
            origin,
            forbidden: HashMap::with_hasher(hasher.clone()),
            forbidden_key_bytes: 0,
            hasher,
        }
    }

    /// Makes room for one more key. Amortised O(1). Returns a table it no longer needs, to be dropped outside the lock.
    pub(crate) fn reserve(&mut self, queue: &Queue) -> Option<Box<[u64]>> {
        let is_far = queue.end() - self.origin >= u64::from(u32::MAX);
        let has_room = self.taken * 4 < self.entries.len() * 3;
        if has_room && !is_far {
            None
        } else {
            Some(self.rebuild(queue.base()))
        }
    }

    /// Whether a position is too far from the lowest one it names to be noted: once in four thousand million operations
    /// with a reader that stands still, a checkpoint ends because of it.
    pub(crate) fn is_exhausted(&self, position: u64) -> bool {
        position - self.origin >= u64::from(u32::MAX)
    }

    /// Where `key` stands, or would. There must be room.
    pub(crate) fn find(&self, queue: &Queue, namespace: Namespace, key: &Key) -> Place {
        let hash = self.hash(namespace, key);
        let mask = self.entries.len().wrapping_sub(1);
        let (mut at, mut reusable) = (hash as usize & mask, None);
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
                let (sync_write, history) = (item.operation.is_sync_write(), item.history);
                let resident = Some(Resident {
                    position,
                    at: found,
                    sync_write,
                    history,
                });
                return Place {
                    hash,
                    entry: at,
                    resident,
                };
            }
            at = (at + 1) & mask;
        }
        Place {
            hash,
            entry: reusable.unwrap_or(at),
            resident: None,
        }
    }

    /// What an item of that key, resident or not, forbids.
    pub(crate) fn forbids(&self, namespace: Namespace, key: &Key) -> Forbids {
        if self.forbidden.is_empty() {
            return Forbids::default();
        }
        self.forbidden
            .get(&(namespace, key.clone()))
            .copied()
            .unwrap_or_default()
    }

    /// Notes that the revision at `position` is now the one of the key that was found at `place`.
    pub(crate) fn put(&mut self, place: Place, position: u64) {
        if let Some(entry) = self.entries.get_mut(place.entry) {
            self.taken += usize::from(*entry == EMPTY);
            *entry = u64::from(place.hash) << 32 | (position - self.origin + 1);
        }
    }

    /// Notes what an item will still forbid when it has been expelled.
    pub(crate) fn forbid(
        &mut self,
        namespace: Namespace,
        key: &Key,
        prepared: bool,
        history: bool,
    ) {
        let forbids = self
            .forbidden
            .entry((namespace, key.clone()))
            .or_insert_with(|| {
                self.forbidden_key_bytes += key.encoded().len();
                Forbids::default()
            });
        forbids.prepared |= prepared;
        forbids.history |= history;
    }

    /// Whether any expelled item may still matter.
    pub(crate) fn forbids_anything(&self) -> bool {
        !self.forbidden.is_empty()
    }

    /// Forgets all entries, which must be stale. Returns the table, to be dropped outside the lock; the next one begins at
    /// the size of which this one made use.
    pub(crate) fn forget(&mut self, origin: u64) -> Box<[u64]> {
        let taken = std::mem::take(&mut self.taken);
        let used = if taken * 4 >= self.entries.len() {
            self.entries.len()
        } else {
            self.entries.len() / 2
        };
        if taken > 0 {
            self.entries_at_once = used.min(ENTRIES_AT_ONCE_MAX);
        }
        self.origin = origin;
        std::mem::take(&mut self.entries)
    }

    /// Bytes of its tables, and of the keys of the side map.
    pub(crate) fn bytes(&self) -> usize {
        let side = size_of::<(Namespace, Key, Forbids)>();
        size_of_val(&*self.entries) + self.forbidden.capacity() * side + self.forbidden_key_bytes
    }

    /// Every position it names, in no order.
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

    /// Leaves the stale entries behind, and at least twice as much room as the others need. Returns the old table.
    fn rebuild(&mut self, base: u64) -> Box<[u64]> {
        let live = self
            .positions()
            .filter(|&position| position >= base)
            .count();
        // At most half are taken then: at least a quarter more comes before the next time.
        let least = if self.entries.is_empty() {
            self.entries_at_once.max(ENTRIES_MIN)
        } else {
            ENTRIES_MIN
        };
        let entries = (2 * live + 1).next_power_of_two().max(least);
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; entries].into_boxed_slice());
        let (origin, mask) = (self.origin, entries - 1);
        self.origin = self.origin.max(base);
        self.taken = live;
        for entry in old.iter().copied().filter(|&entry| entry != EMPTY) {
            let (hash, position) = (entry >> 32, origin + u64::from(entry as u32) - 1);
            if position < base {
                continue;
            }
            let mut at = hash as usize & mask;
            while self.entries.get(at).is_some_and(|&entry| entry != EMPTY) {
                at = (at + 1) & mask;
            }
            if let Some(free) = self.entries.get_mut(at) {
                *free = hash << 32 | (position - self.origin + 1);
            }
        }
        old
    }
}

fn is_revision_of(item: &Item, namespace: Namespace, key: &Key) -> bool {
    item.key == *key && item.operation.namespace() == Some(namespace)
}

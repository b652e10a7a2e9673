//! The key index of the open checkpoint: where the newest revision of each key stands in the queue.
//!
//! It stores positions, not keys: an entry below the queue's base is stale and means "absent", so expelling touches no
//! entry. Stale entries are re-used by the next key with their hash, and swept when the table would otherwise grow.
//! What must still be known of a key after its item was expelled (that it was a prepare, or history) stands in a small
//! side map from the moment it is queued.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_table::HashTable;

use crate::queue::Queue;
use crate::{Item, Key, Namespace, Operation};

/// Bytes of one entry, control byte included.
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>() + 1;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    position: u64,
}

/// What an expelled item of a key still forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forbids {
    /// It was a prepare: the next prepare or abort of its key needs a new checkpoint.
    pub(crate) prepared: bool,
    /// It was history: so does the next history item.
    pub(crate) history: bool,
}

#[derive(Debug)]
pub(crate) struct KeyIndex {
    table: HashTable<Entry>,
    forbidden: HashMap<(Namespace, Key), Forbids, FixedState>,
    /// Bytes of the keys in `forbidden`, which may outlive their items.
    forbidden_key_bytes: usize,
    hasher: FixedState,
}

impl KeyIndex {
    pub(crate) fn new() -> Self {
        // A fixed seed: the order of nothing depends on it, but equal runs must cost equal memory.
        let hasher = FixedState::default();
        Self {
            table: HashTable::new(),
            forbidden: HashMap::with_hasher(hasher.clone()),
            forbidden_key_bytes: 0,
            hasher,
        }
    }

    /// Where the resident revision of `key` stands.
    pub(crate) fn find(&self, queue: &Queue, namespace: Namespace, key: &Key) -> Option<u64> {
        let hash = self.hash(namespace, key);
        let same = |entry: &Entry| {
            entry.hash == hash
                && queue.live_item(entry.position).is_some_and(|item| is_revision_of(item, namespace, key))
        };
        self.table.find(hash, same).map(|entry| entry.position)
    }

    /// What an item of that key, resident or not, forbids.
    pub(crate) fn forbids(&self, namespace: Namespace, key: &Key) -> Forbids {
        if self.forbidden.is_empty() {
            return Forbids::default();
        }
        self.forbidden.get(&(namespace, key.clone())).copied().unwrap_or_default()
    }

    /// Notes that `item`, not queued yet, will stand at `position`.
    pub(crate) fn insert(&mut self, queue: &Queue, namespace: Namespace, item: &Item, position: u64) {
        let hash = self.hash(namespace, &item.key);
        let base = queue.base();
        let reusable = |entry: &Entry| {
            entry.hash == hash
                && (entry.position < base
                    || queue
                        .live_item(entry.position)
                        .is_none_or(|old| is_revision_of(old, namespace, &item.key)))
        };
        if let Some(entry) = self.table.find_mut(hash, reusable) {
            entry.position = position;
        } else {
            if self.table.len() == self.table.capacity() {
                self.sweep(base);
            }
            self.table.insert_unique(hash, Entry { hash, position }, |entry| entry.hash);
        }
        let (prepared, history) = (item.operation == Operation::Prepare, item.history);
        if prepared || history {
            let forbids = self.forbidden.entry((namespace, item.key.clone())).or_insert_with(|| {
                self.forbidden_key_bytes += item.key.encoded().len();
                Forbids::default()
            });
            forbids.prepared |= prepared;
            forbids.history |= history;
        }
    }

    /// Whether any expelled item may still matter.
    pub(crate) fn forbids_anything(&self) -> bool {
        !self.forbidden.is_empty()
    }

    /// Bytes of its tables, the keys of the side map included.
    pub(crate) fn bytes(&self) -> usize {
        let side = size_of::<(Namespace, Key, Forbids)>();
        self.table.capacity() * ENTRY_BYTES + self.forbidden.capacity() * side + self.forbidden_key_bytes
    }

    /// Every position it names, in no order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.table.iter().map(|entry| entry.position)
    }

    fn sweep(&mut self, base: u64) {
        self.table.retain(|entry| entry.position >= base);
        if self.table.len() < self.table.capacity() / 4 {
            self.table.shrink_to(self.table.len() * 2, |entry| entry.hash);
        }
    }

    fn hash(&self, namespace: Namespace, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(namespace as u8);
        hasher.write(key.encoded());
        hasher.finish()
    }
}

fn is_revision_of(item: &Item, namespace: Namespace, key: &Key) -> bool {
    item.operation.namespace() == Some(namespace) && item.key == *key
}

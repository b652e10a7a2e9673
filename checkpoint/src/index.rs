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

    /// The hash under which revisions of `key` are filed; the same in every index.
    pub(crate) fn hash(&self, namespace: Namespace, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(namespace as u8);
        hasher.write(key.encoded());
        hasher.finish()
    }

    /// The resident revision of `key`, whose hash that is, and where it stands.
    pub(crate) fn find<'q>(
        &self,
        queue: &'q Queue,
        hash: u64,
        namespace: Namespace,
        key: &Key,
    ) -> Option<(u64, &'q Item)> {
        let mut found = None;
        self.table.find(hash, |entry| {
            let item = if entry.hash == hash { queue.live_item(entry.position) } else { None };
            let item = item.filter(|item| is_revision_of(item, namespace, key));
            found = item.map(|item| (entry.position, item));
            found.is_some()
        });
        found
    }

    /// What an item of that key, resident or not, forbids.
    pub(crate) fn forbids(&self, namespace: Namespace, key: &Key) -> Forbids {
        if self.forbidden.is_empty() {
            return Forbids::default();
        }
        self.forbidden.get(&(namespace, key.clone())).copied().unwrap_or_default()
    }

    /// Notes that `item`, not queued yet, will stand at `position`, in the place of the revision at `replaced`.
    pub(crate) fn insert(
        &mut self,
        queue: &Queue,
        hash: u64,
        namespace: Namespace,
        item: &Item,
        position: u64,
        replaced: Option<u64>,
    ) {
        // Where nothing is replaced, an entry with this hash is stale, or of another key: that one is live.
        let reusable = |entry: &Entry| match replaced {
            Some(replaced) => entry.position == replaced,
            None => entry.hash == hash && queue.live_item(entry.position).is_none(),
        };
        if let Some(entry) = self.table.find_mut(hash, reusable) {
            entry.position = position;
        } else {
            if self.table.len() == self.table.capacity() {
                self.sweep(queue.base());
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

    /// Bytes of its tables, of whose places an eighth stays free, and of the keys of the side map.
    pub(crate) fn bytes(&self) -> usize {
        let side = size_of::<(Namespace, Key, Forbids)>();
        self.table.capacity() * 8 / 7 * ENTRY_BYTES
            + self.forbidden.capacity() * side
            + self.forbidden_key_bytes
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
}

fn is_revision_of(item: &Item, namespace: Namespace, key: &Key) -> bool {
    item.operation.namespace() == Some(namespace) && item.key == *key
}

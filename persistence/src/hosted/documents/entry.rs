//! An entry: the knowledge about one key, and its cost in memory.

use lowtide_checkpoint::{Item, Key, Seqno};

/// Bytes of the index for one entry, at seven sixteenths: the load right after the index has grown.
const INDEX_BYTES: usize = 21;
/// Bytes of an allocation beyond its content: a count of references, and the allocator's own.
const ALLOCATION_BYTES: usize = 40;
/// Bytes of an entry, without what its key and value have allocated.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>() + INDEX_BYTES;

/// The knowledge about a key in the committed name space.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing is known. A fetch is in progress.
    Unknown(Key),
    /// The key has no revision.
    Absent(Key),
    /// The newest revision.
    Revision(Item),
}

impl Content {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Unknown(key) | Self::Absent(key) => key,
            Self::Revision(item) => &item.key,
        }
    }

    /// Returns the age of the knowledge: a higher one replaces a lower one.
    pub(super) fn age(&self) -> Option<Seqno> {
        match self {
            Self::Unknown(_) => None,
            // No revision has seqno 0.
            Self::Absent(_) => Some(Seqno::ZERO),
            Self::Revision(item) => Some(item.seqno),
        }
    }

    /// Returns the bytes of memory that an entry with this content costs.
    pub(super) fn memory_bytes(&self) -> usize {
        let allocated = match self {
            Self::Unknown(key) | Self::Absent(key) => key_bytes(key),
            Self::Revision(item) => item_bytes(item),
        };
        ENTRY_BYTES + allocated
    }
}

/// Returns the bytes that key and value of an item have allocated.
pub(super) fn item_bytes(item: &Item) -> usize {
    let value = item.value.as_ref();
    key_bytes(&item.key) + value.map_or(0, |value| allocated_bytes(value.len()))
}

fn key_bytes(key: &Key) -> usize {
    allocated_bytes(key.shared_bytes())
}

const fn allocated_bytes(len: usize) -> usize {
    if len == 0 { 0 } else { len + ALLOCATION_BYTES }
}

/// A key's place in memory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) usage: Usage,
}

/// The use that is made of an entry.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Number of fetches of the key in progress.
    pub(super) fetches: u32,
    /// Whether it was found since the hand last passed it.
    pub(super) is_used: bool,
}

impl Entry {
    /// Returns whether the engine has what the entry says, and no fetch needs it (D2).
    pub(super) fn is_evictable(&self, persisted: Seqno) -> bool {
        self.usage.fetches == 0 && self.content.age().is_none_or(|age| age <= persisted)
    }
}

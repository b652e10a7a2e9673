//! The entries of one vBucket by key: dense slots, and an index from hashes to slots.
//!
//! The slots are a ring for eviction. They are dense, so that memory falls with the number of
//! entries: the last entry takes the place of a removed one. They are in chunks, so that they grow
//! without a copy.
//!
//! # Invariants
//! - The index has each slot once, under the hash of its key, and a key has one slot.
//! - `bytes` is the sum of what the entries cost (D3).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use lowtide_checkpoint::Key;
use lowtide_checkpoint::internal::Invariant;

use super::entry::{Content, Entry, Usage};

/// Entries of a chunk.
const CHUNK: usize = 64;
/// Entries for which the first chunk has room at first: most vBuckets of a small store need few.
const FIRST_CHUNK: usize = 4;
/// Size of an index below which it does not shrink.
const INDEX_MIN: usize = 64;

/// A row of the index. The table has fewer than 2^32 entries: as many cost 600 GB.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    slot: u32,
}

/// Entries by key. The owner keeps `Content` and bytes consistent through [`Table::replace`].
#[derive(Debug)]
pub(super) struct Table {
    /// All full except the last that is not empty. At most one is empty.
    chunks: Vec<Vec<Entry>>,
    len: usize,
    index: HashTable<Place>,
    bytes: usize,
    hasher: FixedState,
}

impl Table {
    /// Creates an empty table. No order depends on the seed, only the order of its index.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
            index: HashTable::new(),
            bytes: 0,
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes of memory of all entries.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the hash of a key.
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns the slot of a key.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        let hash = short(self.hash(key));
        let is_key = |place: &Place| {
            place.hash == hash
                && self
                    .get(place.slot as usize)
                    .is_some_and(|entry| entry.content.key() == key)
        };
        let place = self.index.find(spread(hash), is_key)?;
        Some(place.slot as usize)
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Entry> {
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK)
    }

    pub(super) fn usage_mut(&mut self, slot: usize) -> Option<&mut Usage> {
        self.get_mut(slot).map(|entry| &mut entry.usage)
    }

    /// Inserts an entry whose key has none. Amortised O(1).
    pub(super) fn insert(&mut self, entry: Entry) {
        let slot = self.len;
        let hash = short(self.hash(entry.content.key()));
        self.bytes += entry.content.memory_bytes();
        match self.chunks.get_mut(slot / CHUNK) {
            Some(chunk) => chunk.push(entry),
            None => {
                let capacity = if slot == 0 { FIRST_CHUNK } else { CHUNK };
                let mut chunk = Vec::with_capacity(capacity);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
        let place = Place {
            hash,
            slot: slot as u32,
        };
        self.index
            .insert_unique(spread(hash), place, |place| spread(place.hash));
    }

    /// Replaces the content of an entry by another of the same key.
    pub(super) fn replace(&mut self, slot: usize, content: Content) {
        let after = content.memory_bytes();
        let Some(entry) = self
            .get_mut(slot)
            .expected("D1", "a key that was found has an entry")
        else {
            return;
        };
        let before = std::mem::replace(&mut entry.content, content).memory_bytes();
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// Removes an entry. The last one moves to its slot. Amortised O(1).
    pub(super) fn remove(&mut self, slot: usize) -> Option<Entry> {
        let last_slot = self.len.checked_sub(1).filter(|&last| slot <= last)?;
        let last = self.chunks.get_mut(last_slot / CHUNK)?.pop()?;
        self.len = last_slot;
        // One empty chunk stays: entries may come and go at its border.
        self.chunks.truncate(self.len.div_ceil(CHUNK) + 1);
        let removed = if slot == last_slot {
            last
        } else {
            let hash = short(self.hash(last.content.key()));
            let place = self
                .index
                .find_mut(spread(hash), |place| place.slot as usize == last_slot)
                .expected("D1", "the index has each slot");
            // Without its place the key is not found, and is fetched again.
            if let Some(place) = place {
                place.slot = slot as u32;
            }
            std::mem::replace(self.get_mut(slot)?, last)
        };
        self.bytes = self.bytes.saturating_sub(removed.content.memory_bytes());
        self.remove_place(&removed, slot);
        Some(removed)
    }

    /// Removes all entries.
    pub(super) fn clear(&mut self) {
        self.chunks = Vec::new();
        self.len = 0;
        self.index = HashTable::new();
        self.bytes = 0;
    }

    /// Returns all entries, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten()
    }

    /// Returns the number of slots that the index has.
    pub(super) fn indexed(&self) -> usize {
        self.index.len()
    }

    /// Returns the bytes that chunks and index have allocated.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let slots: usize = self.chunks.iter().map(Vec::capacity).sum();
        slots * size_of::<Entry>()
            + self.chunks.capacity() * size_of::<Vec<Entry>>()
            + self.index.allocation_size()
    }

    fn get_mut(&mut self, slot: usize) -> Option<&mut Entry> {
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    /// Removes the place of an entry that was at `slot`.
    fn remove_place(&mut self, entry: &Entry, slot: usize) {
        let hash = short(self.hash(entry.content.key()));
        // Two places may name the slot now: that of the entry which took it has another key's hash,
        // or the same hash and the same slot, and either may go.
        let place = self
            .index
            .find_entry(spread(hash), |place| {
                place.hash == hash && place.slot as usize == slot
            })
            .ok()
            .expected("D1", "the index has each slot");
        if let Some(place) = place {
            place.remove();
        }
        if self.index.capacity() > INDEX_MIN && self.len < self.index.capacity() / 4 {
            self.index
                .shrink_to(2 * self.len, |place| spread(place.hash));
        }
    }
}

/// Returns the part of a hash that a row of the index has.
const fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Returns the hash that the index uses: it takes the bucket from the low bits, and a tag from the
/// high ones.
const fn spread(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}

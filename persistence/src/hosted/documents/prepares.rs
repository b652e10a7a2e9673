//! The open prepares of one vBucket: durable writes that have neither been committed nor aborted.
//!
//! # Invariants
//! - A key has at most one open prepare, and both maps have the same prepares.
//! - Durable writes end in their order (C21), so what a completion names ends all prepares up to it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Key, Seqno};

use super::entry::item_bytes;

/// Bytes of a prepare in both maps, whose nodes are two thirds full on average.
const PREPARE_BYTES: usize = (size_of::<(Seqno, Item)>() + size_of::<(Key, Seqno)>()) * 3 / 2;

#[derive(Debug, Default)]
pub(super) struct Prepares {
    by_seqno: BTreeMap<Seqno, Item>,
    by_key: BTreeMap<Key, Seqno>,
    bytes: usize,
}

impl Prepares {
    pub(super) fn get(&self, key: &Key) -> Option<&Item> {
        self.by_seqno.get(self.by_key.get(key)?)
    }

    pub(super) fn oldest(&self) -> Option<&Item> {
        self.by_seqno.values().next()
    }

    pub(super) fn len(&self) -> usize {
        self.by_seqno.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins a durable write. An older prepare of the key has ended: in a snapshot from disk its
    /// completion may be missing.
    pub(super) fn begin(&mut self, item: Item) {
        self.end_of(&item.key, item.seqno);
        // A newer one is there only if the host puts items out of order.
        if self.by_key.contains_key(&item.key) {
            return;
        }
        self.bytes += memory_bytes(&item);
        self.by_key.insert(item.key.clone(), item.seqno);
        self.by_seqno.insert(item.seqno, item);
    }

    /// Ends all prepares at or below `seqno`.
    pub(super) fn end_up_to(&mut self, seqno: Seqno) {
        while let Some(first) = self.by_seqno.first_entry()
            && *first.key() <= seqno
        {
            let ended = first.remove();
            self.by_key.remove(&ended.key);
            self.bytes = self.bytes.saturating_sub(memory_bytes(&ended));
        }
    }

    /// Ends the key's prepare, if it is below `seqno`.
    pub(super) fn end_of(&mut self, key: &Key, seqno: Seqno) {
        if let Some(&open) = self.by_key.get(key)
            && open < seqno
        {
            self.by_key.remove(key);
            if let Some(ended) = self.by_seqno.remove(&open) {
                self.bytes = self.bytes.saturating_sub(memory_bytes(&ended));
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns what is wrong with the maps.
    pub(super) fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (seqno, item) in &self.by_seqno {
            if item.seqno != *seqno || self.by_key.get(&item.key) != Some(seqno) {
                wrong.push(format!("the prepare at {} is not its key's", seqno.0));
            }
        }
        let bytes: usize = self.by_seqno.values().map(memory_bytes).sum();
        if self.by_key.len() != self.by_seqno.len() || bytes != self.bytes {
            wrong.push(format!(
                "{} keys have {} prepares, of {bytes} bytes, and {} are counted",
                self.by_key.len(),
                self.by_seqno.len(),
                self.bytes
            ));
        }
        wrong
    }
}

fn memory_bytes(item: &Item) -> usize {
    PREPARE_BYTES + item_bytes(item)
}

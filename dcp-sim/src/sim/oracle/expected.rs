//! Expected documents, folded from the writes of the source.

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::input::Change;

/// Documents that every copy must reach.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    documents: HashMap<Bytes, Bytes, FixedState>,
    /// Number of sets.
    pub sets: u64,
    /// Number of deletes.
    pub deletes: u64,
}

impl Oracle {
    /// Applies a write.
    pub fn apply(&mut self, change: &Change) {
        match &change.value {
            Some(value) => {
                self.sets += 1;
                self.documents.insert(change.key.clone(), value.clone());
            }
            None => {
                self.deletes += 1;
                self.documents.remove(&change.key);
            }
        }
    }

    /// Returns the expected document with that key.
    #[must_use]
    pub fn document(&self, key: &[u8]) -> Option<&Bytes> {
        self.documents.get(key)
    }

    /// Returns user key and value of each document, by key. O(n log n).
    pub fn documents(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let mut documents: Vec<_> = self.documents.iter().collect();
        documents.sort_unstable_by_key(|&(key, _)| key);
        documents.into_iter()
    }
}

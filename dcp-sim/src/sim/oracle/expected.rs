//! The oracle: what the documents must be, folded from the source's own words and nothing the cluster says.

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::input::Change;

/// The documents every copy must come to.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    documents: HashMap<Bytes, Bytes, FixedState>,
    /// Sets seen.
    pub sets: u64,
    /// Deletes seen.
    pub deletes: u64,
}

impl Oracle {
    /// Takes note of a write.
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

    /// The document with that key, if there must be one.
    #[must_use]
    pub fn document(&self, key: &[u8]) -> Option<&Bytes> {
        self.documents.get(key)
    }

    /// User key and value of each document, by key. O(n log n).
    pub fn documents(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let mut documents: Vec<_> = self.documents.iter().collect();
        documents.sort_unstable_by_key(|&(key, _)| key);
        documents.into_iter()
    }
}

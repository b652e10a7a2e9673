//! The oracle: what the documents must be, folded from the source's own words and nothing the cluster says.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::input::Change;

/// The documents every copy must come to.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    documents: BTreeMap<Bytes, Bytes>,
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

    /// User key and value of each document, by key.
    #[must_use]
    pub fn documents(&self) -> &BTreeMap<Bytes, Bytes> {
        &self.documents
    }
}

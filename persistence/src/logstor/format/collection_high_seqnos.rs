//! The highest seqno of each collection of a vBucket.
//!
//! Clients ask for it, so it must survive purges, rollbacks and restarts.
//!
//! # Invariants (L40)
//!
//! - A collection's highest seqno is that of the newest item ever written to it in this history. It
//!   only rises. So it is the maximum over any set of records that contains that item's, in any
//!   order.
//! - That item's record is on disk and referenced: it is the newest of its key, and no purge
//!   removes it. So opening the store reads it. An image of the same history has it, or has an
//!   older one and the newest was appended since.
//! - System events are about collections, not in them.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{Item, Key, Namespace};
use serde::{Deserialize, Serialize};

use super::record::RecordView;

/// Highest seqnos by collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct CollectionHighSeqnos(BTreeMap<u32, u64>);

impl CollectionHighSeqnos {
    /// Adds an item of a collection.
    pub(in crate::logstor) fn insert(&mut self, collection: u32, seqno: u64) {
        let high = self.0.entry(collection).or_default();
        *high = seqno.max(*high);
    }

    pub(in crate::logstor) fn merge(&mut self, other: &Self) {
        other
            .iter()
            .for_each(|(collection, seqno)| self.insert(collection, seqno));
    }

    pub(in crate::logstor) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0
            .iter()
            .map(|(&collection, &seqno)| (collection, seqno))
    }

    /// Returns whether it contains everything that `least` does, and nothing that `most` does not.
    pub(in crate::logstor) fn is_between(&self, least: &Self, most: &Self) -> bool {
        let get = |of: &Self, collection: u32| of.0.get(&collection).copied().unwrap_or(0);
        let is_known = |(collection, seqno)| seqno <= get(self, collection);
        let is_there = |(collection, seqno)| seqno <= get(most, collection);
        least.iter().all(is_known) && self.iter().all(is_there)
    }

    /// Returns the highest seqnos themselves. A seqno belongs to one item, whatever its collection.
    pub(in crate::logstor) fn seqnos(&self) -> BTreeSet<u64> {
        self.0.values().copied().collect()
    }
}

impl FromIterator<(u32, u64)> for CollectionHighSeqnos {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(items: I) -> Self {
        let mut highs = Self::default();
        items
            .into_iter()
            .for_each(|(collection, seqno)| highs.insert(collection, seqno));
        highs
    }
}

/// Returns the collection an item is in, if it is in one.
pub(in crate::logstor) fn collection_of_item(item: &Item) -> Option<u32> {
    let namespace = item.operation.namespace()?;
    (namespace != Namespace::System).then(|| item.key.collection())
}

/// Same as [`collection_of_item`], for a record.
pub(in crate::logstor) fn collection_of_record(record: &RecordView<'_>) -> Option<u32> {
    let namespace = record.operation?.namespace()?;
    if namespace == Namespace::System {
        None
    } else {
        Key::parts(record.key).map(|(id, _)| id)
    }
}

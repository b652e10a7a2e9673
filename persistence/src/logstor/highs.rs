//! How far the collections of a vBucket have come: records go in, the highest seqno of each collection comes out.
//!
//! What always holds (L40):
//!
//! - A collection's highest seqno is that of the newest item that was ever written to it in this history. It only rises, so
//!   it is the maximum over any records of which one is that item's, in whatever order they come.
//! - That item's record is on the disk and named: it is the newest of its key, and no purge takes it. So what is read when
//!   the store opens has it. What an image knows of the same history has it, or an older one, and then it was written since.
//! - System events are about collections, not in them.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{Item, Key, Namespace};
use serde::{Deserialize, Serialize};

use super::entry::Peek;

/// By collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CollectionHighs(BTreeMap<u32, u64>);

impl CollectionHighs {
    /// An item of a collection is there.
    pub(super) fn take_in(&mut self, collection: u32, seqno: u64) {
        let high = self.0.entry(collection).or_default();
        *high = seqno.max(*high);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other
            .iter()
            .for_each(|(collection, seqno)| self.take_in(collection, seqno));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0
            .iter()
            .map(|(&collection, &seqno)| (collection, seqno))
    }

    /// Whether it knows everything that the first of two others does, and nothing that the second one does not.
    pub(super) fn is_between(&self, least: &Self, most: &Self) -> bool {
        let get = |of: &Self, collection: u32| of.0.get(&collection).copied().unwrap_or(0);
        let is_known = |(collection, seqno)| seqno <= get(self, collection);
        let is_there = |(collection, seqno)| seqno <= get(most, collection);
        least.iter().all(is_known) && self.iter().all(is_there)
    }

    /// The highest seqnos themselves: a seqno is one item's, whatever its collection.
    pub(super) fn seqnos(&self) -> BTreeSet<u64> {
        self.0.values().copied().collect()
    }
}

impl FromIterator<(u32, u64)> for CollectionHighs {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(items: I) -> Self {
        let mut highs = Self::default();
        items
            .into_iter()
            .for_each(|(collection, seqno)| highs.take_in(collection, seqno));
        highs
    }
}

/// The collection an item is in, if it is in one.
pub(super) fn of_item(item: &Item) -> Option<u32> {
    let namespace = item.operation.namespace()?;
    (namespace != Namespace::System).then(|| item.key.collection())
}

/// As [`of_item`], of a record.
pub(super) fn of_record(peek: &Peek<'_>) -> Option<u32> {
    let namespace = peek.operation?.namespace()?;
    if namespace == Namespace::System {
        None
    } else {
        Key::parts(peek.key).map(|(id, _)| id)
    }
}

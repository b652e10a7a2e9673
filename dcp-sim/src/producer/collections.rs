//! Highest seqno of each collection of a vBucket.
//!
//! It is computed from the vBucket's items, in order. Prepares, aborts and tombstones count, and so
//! do the events that create or drop a collection. An item costs O(log collections).
//!
//! A purge may remove the newest tombstone of a collection. A node that loads or receives the rest
//! cannot know that seqno. A host on such an engine reports it as unknown
//! ([`Partitions::collections`](crate::producer::Partitions::collections)).
//!
//! # Invariants
//!
//! - S23. The seqno of a collection is that of its newest item, whether the node wrote, received or
//!   loaded it, or rolled back to it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Seqno};

use crate::wire::{Event, system_event};

/// One collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Collection {
    high: Seqno,
    is_dropped: bool,
}

/// A vBucket's collections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collections(BTreeMap<u32, Collection>);

impl Collections {
    /// Records the next item.
    pub fn record(&mut self, item: &Item) {
        if item.operation.namespace().is_none() {
            return;
        }
        match system_event(item) {
            Some(Event::CollectionCreated { collection, .. }) => {
                self.event(collection, item.seqno, false)
            }
            Some(Event::CollectionDropped { collection, .. }) => {
                self.event(collection, item.seqno, true)
            }
            Some(_) => {}
            None => {
                let collection = self.0.entry(item.key.collection()).or_default();
                collection.high = collection.high.max(item.seqno);
            }
        }
    }

    /// Returns the collection's highest seqno, or 0 if it never had an item.
    #[must_use]
    pub fn high(&self, collection: u32) -> Seqno {
        self.0
            .get(&collection)
            .map_or(Seqno::ZERO, |collection| collection.high)
    }

    /// Returns `true` if the collection was dropped.
    #[must_use]
    pub fn is_dropped(&self, collection: u32) -> bool {
        self.0
            .get(&collection)
            .is_some_and(|collection| collection.is_dropped)
    }

    fn event(&mut self, collection: u32, seqno: Seqno, is_dropped: bool) {
        let known = self.0.entry(collection).or_default();
        *known = Collection {
            high: known.high.max(seqno),
            is_dropped,
        };
    }
}

impl<'a> FromIterator<&'a Item> for Collections {
    fn from_iter<T: IntoIterator<Item = &'a Item>>(items: T) -> Self {
        let mut collections = Self::default();
        items.into_iter().for_each(|item| collections.record(item));
        collections
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowtide_checkpoint::{Key, Operation};

    use super::*;
    use crate::wire::SystemEvent;

    fn item(operation: Operation, collection: u32, seqno: u64) -> Item {
        let key = Key::in_collection(collection, b"k");
        Item {
            seqno: Seqno(seqno),
            value: Some(Bytes::new()),
            ..Item::new(operation, key)
        }
    }

    fn event(event: Event, seqno: u64) -> Item {
        SystemEvent {
            seqno: Seqno(seqno),
            event,
        }
        .to_item()
        .expect("no buffer")
    }

    #[test]
    fn collection_high_seqno_counts_every_item() {
        let created = Event::CollectionCreated {
            manifest_uid: 1,
            scope: 0,
            collection: 9,
            max_ttl: None,
            name: "c".into(),
        };
        let dropped = Event::CollectionDropped {
            manifest_uid: 2,
            scope: 0,
            collection: 0,
        };
        let items = [
            item(Operation::Mutation, 0, 1),
            item(Operation::Prepare, 8, 2),
            item(Operation::Abort, 8, 3),
            event(created, 4),
            item(Operation::Deletion, 0, 5),
            event(dropped, 6),
            item(
                Operation::SetVBucketState(lowtide_checkpoint::State::Dead),
                0,
                99,
            ),
        ];
        let collections: Collections = items.iter().collect();
        let highs = [0, 8, 9, 10].map(|collection| collections.high(collection).0);
        assert_eq!(highs, [6, 3, 4, 0]);
        assert_eq!(
            (collections.is_dropped(0), collections.is_dropped(9)),
            (true, false)
        );
    }
}

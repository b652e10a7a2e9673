//! The documents of one vBucket as its node's memory has them: the newest revision of every key, tombstones included.

use std::collections::BTreeMap;

use bytes::Bytes;
use checkpoint::{Cas, Item, Key, Namespace, Seqno};

/// The newest revision of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its place in the vBucket's order.
    pub seqno: Seqno,
    /// Its CAS.
    pub cas: Cas,
    /// How many revisions there were.
    pub rev_seqno: u64,
    /// Its value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

impl Document {
    /// What `item` makes of its key.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        let value = item.value.clone().filter(|_| !item.deleted);
        Self { seqno: item.seqno, cas: item.cas, rev_seqno: item.rev_seqno, value }
    }
}

/// Documents by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents(BTreeMap<Key, Document>);

impl Documents {
    /// Takes an item of the committed name space; others change no document.
    pub fn apply(&mut self, item: &Item) {
        if item.operation.namespace() == Some(Namespace::Committed) {
            self.0.insert(item.key.clone(), Document::of(item));
        }
    }

    /// The newest revision of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Document> {
        self.0.get(key)
    }

    /// All of them, by key, tombstones included.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Document)> {
        self.0.iter()
    }

    /// Those that are no tombstones, by key.
    pub fn live(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.0.iter().filter_map(|(key, document)| Some((key, document.value.as_ref()?)))
    }

    /// The first key on which two sets differ.
    #[must_use]
    pub fn first_difference<'a>(&'a self, other: &'a Self) -> Option<&'a Key> {
        let differs =
            |(key, document): &(&'a Key, &'a Document), in_other: &Self| in_other.get(key) != Some(*document);
        let here = self.iter().find(|entry| differs(entry, other));
        let there = other.iter().find(|entry| differs(entry, self));
        [here, there].into_iter().flatten().map(|(key, _)| key).min()
    }
}

impl FromIterator<Item> for Documents {
    fn from_iter<T: IntoIterator<Item = Item>>(items: T) -> Self {
        let mut documents = Self::default();
        for item in items {
            documents.apply(&item);
        }
        documents
    }
}

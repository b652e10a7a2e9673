//! Documents of one vBucket: the newest revision of every key, including tombstones.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Item, Key, Namespace, Seqno, Vbid};
use lowtide_persistence::{Engine, EngineError};

use crate::node::Stored;

/// Newest revision of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// CAS of the revision.
    pub cas: Cas,
    /// Number of revisions.
    pub rev_seqno: u64,
    /// Value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

impl Document {
    /// Returns the document that `item` leaves under its key.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        let value = item.value.clone().filter(|_| !item.deleted);
        Self {
            seqno: item.seqno,
            cas: item.cas,
            rev_seqno: item.rev_seqno,
            value,
        }
    }

    /// Returns a 64-bit digest of key, value, seqno, CAS and revision. Tombstones have one, too.
    #[must_use]
    pub fn digest(&self, key: &Key) -> u64 {
        let value = self
            .value
            .as_ref()
            .map_or(0, |value| u64::from(crc32fast::hash(value)) + 1);
        let bytes =
            (u64::from(crc32fast::hash(key.user())) << 32) | u64::from(key.user().len() as u32);
        [bytes, value, self.seqno.0, self.cas.0, self.rev_seqno]
            .into_iter()
            .fold(0, |sum, part| mix(sum ^ part))
    }
}

/// Finalizer of Steele, Lea and Flood: each bit of the input flips each bit of the output with
/// probability one half.
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Documents by key, from an engine or folded from items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<Key, Document>);

impl Contents {
    /// Reads a vBucket. O(documents).
    ///
    /// # Errors
    /// Same as the engine's reads.
    pub fn read(engine: &dyn Engine, vb: Vbid) -> Result<Self, EngineError> {
        let mut contents = Self::default();
        Stored::read_with(engine, vb, &mut |item| contents.apply(item))?;
        Ok(contents)
    }

    /// Applies an item of the committed name space; others change no document.
    pub fn apply(&mut self, item: &Item) {
        if item.operation.namespace() == Some(Namespace::Committed) {
            self.0.insert(item.key.clone(), Document::of(item));
        }
    }

    /// Returns the newest revision of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Document> {
        self.0.get(key)
    }

    /// Returns all documents by key, including tombstones.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Document)> {
        self.0.iter()
    }

    /// Returns the live documents by key.
    pub fn live(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.iter()
            .filter_map(|(key, document)| Some((key, document.value.as_ref()?)))
    }

    /// Returns the first key whose documents differ.
    #[must_use]
    pub fn first_difference<'a>(&'a self, other: &'a Self) -> Option<&'a Key> {
        self.first_difference_among(other, |_| true)
    }

    /// Returns the first key whose live documents differ. A tombstone counts as absent: it may have
    /// been purged on one side.
    #[must_use]
    pub fn first_live_difference<'a>(&'a self, other: &'a Self) -> Option<&'a Key> {
        self.first_difference_among(other, |document| document.value.is_some())
    }

    fn first_difference_among<'a>(
        &'a self,
        other: &'a Self,
        counts: impl Fn(&Document) -> bool,
    ) -> Option<&'a Key> {
        let differs = |(key, document): &(&'a Key, &'a Document), in_other: &Self| {
            counts(document) && in_other.get(key).filter(|found| counts(found)) != Some(*document)
        };
        let here = self.iter().find(|entry| differs(entry, other));
        let there = other.iter().find(|entry| differs(entry, self));
        here.into_iter().chain(there).map(|(key, _)| key).min()
    }
}

impl FromIterator<Item> for Contents {
    fn from_iter<T: IntoIterator<Item = Item>>(items: T) -> Self {
        let mut contents = Self::default();
        items.into_iter().for_each(|item| contents.apply(&item));
        contents
    }
}

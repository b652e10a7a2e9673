//! Documents of one vBucket in memory: the newest revision of every key, including tombstones.
//!
//! A digest is computed once, when its document arrives. Storing eight bytes is cheaper than
//! reading an old value again to subtract its digest.
//!
//! # Invariants
//!
//! - [`Documents::content`] is the sum of the live documents' digests. So two sets are compared at
//!   any time without a walk.

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lowtide_checkpoint::{Cas, Item, Key, Namespace, Seqno};

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
}

impl Document {
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

/// Documents by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    by_key: HashMap<Key, Digested, FixedState>,
    content: u64,
}

/// A document and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digested {
    document: Document,
    digest: u64,
}

impl Digested {
    fn live_digest(&self) -> u64 {
        if self.document.value.is_some() {
            self.digest
        } else {
            0
        }
    }
}

impl Documents {
    /// Applies an item of the committed name space; others change no document. Returns the digest
    /// of the resulting document.
    pub fn apply(&mut self, item: &Item) -> u64 {
        let document = Document::of(item);
        let digest = document.digest(&item.key);
        if item.operation.namespace() == Some(Namespace::Committed) {
            let digested = Digested { document, digest };
            self.content = self.content.wrapping_add(digested.live_digest());
            if let Some(before) = self.by_key.insert(item.key.clone(), digested) {
                self.content = self.content.wrapping_sub(before.live_digest());
            }
        }
        digest
    }

    /// Returns the sum of the digests of all live documents.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.content
    }

    /// Returns the newest revision of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Document> {
        self.by_key.get(key).map(|digested| &digested.document)
    }

    /// Returns the digest of the newest revision of a key.
    #[must_use]
    pub fn digest(&self, key: &Key) -> Option<u64> {
        self.by_key.get(key).map(|digested| digested.digest)
    }

    /// Returns all documents by key, including tombstones. O(n log n).
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Document)> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(|&(key, _)| key);
        entries.into_iter()
    }

    /// Returns the live documents by key. O(n log n).
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
        let here = self.entries().filter(|entry| differs(entry, other));
        let there = other.entries().filter(|entry| differs(entry, self));
        here.chain(there).map(|(key, _)| key).min()
    }

    /// Returns the entries in arbitrary order; no result may depend on it.
    fn entries(&self) -> impl Iterator<Item = (&Key, &Document)> {
        self.by_key
            .iter()
            .map(|(key, digested)| (key, &digested.document))
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

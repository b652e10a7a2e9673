//! The documents of one vBucket as its node's memory has them: the newest revision of every key, tombstones included.
//!
//! What always holds: [`Documents::content`] is the sum of its live documents' digests, so that two sets can be compared
//! at any moment without being walked. A digest is computed once, when its document comes: to read an old value again only
//! to take its digest away costs more than to keep eight bytes.

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lowtide_checkpoint::{Cas, Item, Key, Namespace, Seqno};

/// The newest revision of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Position in the vBucket's order.
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
        Self {
            seqno: item.seqno,
            cas: item.cas,
            rev_seqno: item.rev_seqno,
            value,
        }
    }
}

impl Document {
    /// A number that tells this revision of `key` from any other, as good as surely: 64 bits of key, value, seqno, CAS
    /// and revision. Tombstones have one as well.
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

/// Steele, Lea and Flood's finalizer: each bit of the input changes each of the output as often as not.
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
    /// Takes an item of the committed name space; others change no document. Returns the digest of what the item makes
    /// of its key.
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

    /// The sum of the digests of the documents that are no tombstones.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.content
    }

    /// The newest revision of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Document> {
        self.by_key.get(key).map(|digested| &digested.document)
    }

    /// The digest of the newest revision of a key.
    #[must_use]
    pub fn digest(&self, key: &Key) -> Option<u64> {
        self.by_key.get(key).map(|digested| digested.digest)
    }

    /// All of them, by key, tombstones included. O(n log n).
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Document)> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(|&(key, _)| key);
        entries.into_iter()
    }

    /// Those that are no tombstones, by key. O(n log n).
    pub fn live(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.iter()
            .filter_map(|(key, document)| Some((key, document.value.as_ref()?)))
    }

    /// The first key on which two sets differ.
    #[must_use]
    pub fn first_difference<'a>(&'a self, other: &'a Self) -> Option<&'a Key> {
        self.first_difference_among(other, |_| true)
    }

    /// The first key on which two sets differ, a tombstone being as good as nothing: one may have been purged.
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

    /// In no order that means anything: nothing may come of it.
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

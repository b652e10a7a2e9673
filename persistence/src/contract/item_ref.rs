//! An item that lies somewhere else: key and value are borrowed from whoever shows it. What looks at items and keeps none
//! (a check, a digest, a copy to elsewhere) need not have them made.
//!
//! Always: it has every field of the item it stands for, and [`ItemRef::to_item`] gives that item.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Key, Operation, Seqno};

/// A stored item, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a> {
    /// With its collection's prefix: [`Key::parts`] takes it apart.
    pub key: &'a [u8],
    /// What it is, as in [`Item`], like all that follows.
    pub operation: Operation,
    /// Its place in the vBucket's history.
    pub seqno: Seqno,
    /// The document's version, as clients compare it.
    pub cas: Cas,
    /// How many revisions the document has had, this one included.
    pub rev_seqno: u64,
    /// The client's, opaque.
    pub flags: u32,
    /// Expiry of a document or time of a deletion, in seconds since the epoch; 0 is never or unknown.
    pub expiry: u32,
    /// How the value is encoded, in bits.
    pub datatype: Datatype,
    /// Whether it is a deletion.
    pub deleted: bool,
    /// Whether it is kept in the history.
    pub history: bool,
    /// Of a prepare: how durable it is to be.
    pub durability: Option<DurabilityLevel>,
    /// Of a commit or an abort: the seqno of its prepare; else 0.
    pub prepare_seqno: Seqno,
    /// The value; `None` if it has none, which is not an empty one.
    pub value: Option<&'a [u8]>,
}

impl ItemRef<'_> {
    /// The item, with a key and a value of its own; `None` if the key's prefix is none.
    #[must_use]
    pub fn to_item(self) -> Option<Item> {
        self.to_item_with(Bytes::copy_from_slice)
    }

    /// As [`ItemRef::to_item`]; `keep` is what a long key and the value are held by.
    #[inline]
    pub(crate) fn to_item_with(self, mut keep: impl FnMut(&[u8]) -> Bytes) -> Option<Item> {
        Some(Item {
            value: self.value.map(&mut keep),
            key: match self.key.len() {
                ..=KEY_BYTES_COPIED => Key::copy_from_encoded(self.key),
                _ => Key::from_encoded(keep(self.key)),
            }?,
            operation: self.operation,
            seqno: self.seqno,
            cas: self.cas,
            rev_seqno: self.rev_seqno,
            flags: self.flags,
            expiry: self.expiry,
            datatype: self.datatype,
            deleted: self.deleted,
            history: self.history,
            durability: self.durability,
            prepare_seqno: self.prepare_seqno,
        })
    }
}

/// Keys up to there are copied rather than shared: most of them need no memory of their own.
const KEY_BYTES_COPIED: usize = 64;

impl<'a> From<&'a Item> for ItemRef<'a> {
    fn from(item: &'a Item) -> Self {
        Self {
            key: item.key.encoded(),
            operation: item.operation,
            seqno: item.seqno,
            cas: item.cas,
            rev_seqno: item.rev_seqno,
            flags: item.flags,
            expiry: item.expiry,
            datatype: item.datatype,
            deleted: item.deleted,
            history: item.history,
            durability: item.durability,
            prepare_seqno: item.prepare_seqno,
            value: item.value.as_deref(),
        }
    }
}

//! An item that borrows its key and value.
//!
//! Code that looks at items and keeps none (a check, a digest, a copy) needs no [`Item`] to be
//! built.
//!
//! # Invariants
//!
//! It has every field of the item it represents, and [`ItemRef::to_item`] returns that item.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Key, Operation, Seqno};

/// A stored item, borrowed from its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a> {
    /// The key, with its collection's prefix. [`Key::parts`] splits it.
    pub key: &'a [u8],
    /// The operation. It and all fields below are as in [`Item`].
    pub operation: Operation,
    /// Its place in the vBucket's history.
    pub seqno: Seqno,
    /// The document's version, as clients compare it.
    pub cas: Cas,
    /// The number of revisions of the document, this one included.
    pub rev_seqno: u64,
    /// The client's flags, opaque.
    pub flags: u32,
    /// Expiry of a document or time of a deletion, in seconds since the epoch; 0 is never or
    /// unknown.
    pub expiry: u32,
    /// The value's encoding, in bits.
    pub datatype: Datatype,
    /// Whether it is a deletion.
    pub deleted: bool,
    /// Whether it is kept in the history.
    pub history: bool,
    /// For a prepare: its durability level.
    pub durability: Option<DurabilityLevel>,
    /// For a commit or an abort: the seqno of its prepare; otherwise 0.
    pub prepare_seqno: Seqno,
    /// The value; `None` for no value, which differs from an empty one.
    pub value: Option<&'a [u8]>,
}

impl ItemRef<'_> {
    /// Returns the item, with a key and a value of its own; `None` if the key's prefix is invalid.
    #[must_use]
    pub fn to_item(self) -> Option<Item> {
        self.to_item_with(Bytes::copy_from_slice)
    }

    /// Same as [`ItemRef::to_item`]; `keep` makes the memory that holds a long key and the value.
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

/// Keys of up to this length are copied rather than shared: most of them need no memory of their
/// own.
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

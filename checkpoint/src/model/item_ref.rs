//! An item that borrows its key and value.
//!
//! Code that looks at items and keeps none (a check, a digest, a copy) needs no [`Item`] to be
//! built.
//!
//! # Invariants
//!
//! It has every field of the item it represents, and [`ItemRef::to_item`] returns that item.

use bytes::Bytes;

use super::item::Item;
use super::key::Key;

/// An item that borrows the encoded key, prefix included, and the value.
pub type ItemRef<'a> = Item<&'a [u8], &'a [u8]>;

/// Keys of up to this length are copied rather than shared: most of them need no memory of their
/// own.
const KEY_BYTES_COPIED: usize = 64;

impl ItemRef<'_> {
    /// Returns the item, with a key and a value of its own; `None` if the key's prefix is invalid.
    #[must_use]
    pub fn to_item(self) -> Option<Item> {
        self.to_item_with(Bytes::copy_from_slice)
    }

    /// Same as [`ItemRef::to_item`]; `keep` makes the memory that holds a long key and the value.
    #[inline]
    pub fn to_item_with(self, mut keep: impl FnMut(&[u8]) -> Bytes) -> Option<Item> {
        let value = self.value.map(&mut keep);
        let key = match self.key.len() {
            ..=KEY_BYTES_COPIED => Key::copy_from_encoded(self.key),
            _ => Key::from_encoded(keep(self.key)),
        }?;
        Some(self.with_parts(key, value))
    }
}

impl<'a> From<&'a Item> for ItemRef<'a> {
    fn from(item: &'a Item) -> Self {
        item.with_parts(item.key.encoded(), item.value.as_deref())
    }
}

//! Values of a scan that share one allocation.
//!
//! What always holds: an item gets exactly the bytes that were stored for it, and `None` if there
//! were none. An item that outlives the others keeps at most [`SLAB_BYTES`] with it: longer values,
//! and those of half that, have memory of their own.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::Item;
use lowtide_checkpoint::internal::Invariant as _;

use crate::couchstore::format::snappy;

/// Size of one allocation.
const SLAB_BYTES: usize = 4 << 10;
/// Shortest value with memory of its own.
const OWN_BYTES_MIN: usize = SLAB_BYTES / 2;

/// Values that their items do not have yet.
#[derive(Debug, Default)]
pub(crate) struct ValueSlab {
    bytes: Vec<u8>,
    /// Index of each item in its list, and the range of its value.
    due: Vec<(usize, Range<usize>)>,
}

impl ValueSlab {
    /// Appends an item without its value to a list. [`ValueSlab::settle`] adds the value.
    pub(crate) fn push(&mut self, items: &mut Vec<Item>, item: Item, value: Range<usize>) {
        self.due.push((items.len(), value));
        items.push(item);
        if self.bytes.len() > SLAB_BYTES - OWN_BYTES_MIN {
            self.settle(items);
        }
    }

    /// Copies a value as it is stored. Returns its range, or `None` if it gets memory of its own.
    ///
    /// # Errors
    /// The value is compressed and cannot be decompressed.
    pub(crate) fn take(
        &mut self,
        stored: &[u8],
        compressed: bool,
    ) -> Result<Option<Range<usize>>, ()> {
        let length = if compressed {
            snappy::length(stored).ok_or(())?
        } else {
            stored.len()
        };
        if length >= OWN_BYTES_MIN {
            return Ok(None);
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(SLAB_BYTES);
        }
        let start = self.bytes.len();
        if compressed {
            self.bytes.resize(start + length, 0);
            let place = self.bytes.get_mut(start..);
            let place = place.expected("E3", "a slab holds what was reserved");
            // Decompressing into nothing fails: the caller reports the row.
            let place = place.unwrap_or_default();
            snappy::decompress_into(stored, place).ok_or(())?;
        } else {
            self.bytes.extend_from_slice(stored);
        }
        Ok(Some(start..self.bytes.len()))
    }

    /// Puts the missing values into the items of the list.
    pub(crate) fn settle(&mut self, items: &mut [Item]) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.len() < SLAB_BYTES / 2 {
            bytes.shrink_to_fit();
        }
        let bytes = Bytes::from(bytes);
        for (place, value) in self.due.drain(..) {
            let item = items.get_mut(place);
            // A value without an item is dropped.
            if let Some(item) = item.expected("E3", "a value has an item") {
                item.value = Some(bytes.slice(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lowtide_checkpoint::Key;

    use super::*;

    #[test]
    fn slab_gives_each_item_its_value_and_bounded_memory() {
        let (mut slab, mut items, mut expected) = (ValueSlab::default(), Vec::new(), Vec::new());
        for n in 0..300_usize {
            let value = vec![n as u8; n * 131 % 2500];
            let (stored, compressed) = match n % 2 {
                0 => (value.clone(), false),
                _ => (snappy::compress(&value).expect("small"), true),
            };
            let item = Item::deletion(Key::new(&n.to_be_bytes()));
            match slab.take(&stored, compressed).expect("sound") {
                Some(place) => {
                    slab.push(&mut items, item, place);
                    expected.push(Some(value));
                }
                None => {
                    assert!(value.len() >= OWN_BYTES_MIN);
                    items.push(item);
                    expected.push(None);
                }
            }
            assert!(slab.bytes.len() <= SLAB_BYTES);
        }
        slab.settle(&mut items);
        let values: Vec<_> = items
            .iter()
            .map(|item| item.value.as_ref().map(|value| value.to_vec()))
            .collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn slab_refuses_a_malformed_snappy_block() {
        let mut slab = ValueSlab::default();
        let block = snappy::compress(&[7; 100]).expect("small");
        assert_eq!(slab.take(&block[..block.len() - 1], true), Err(()));
        assert_eq!(slab.take(&[], true), Err(()));
    }
}

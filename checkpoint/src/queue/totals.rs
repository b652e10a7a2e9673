//! Counts of live items and their cost, stored with each segment and each checkpoint.
//!
//! Keeping them up to date makes sizes and limits O(1), without a walk over items.

use std::ops::{AddAssign, SubAssign};

use super::cost::{ENTRY_BYTES, SLOT_BYTES};

/// A number of items and their bytes: keys, values, slots and index entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl Totals {
    pub(crate) const fn cost(payload_bytes: usize) -> usize {
        payload_bytes + SLOT_BYTES + ENTRY_BYTES
    }

    /// Returns the bytes of keys and values alone.
    pub(crate) const fn payload_bytes(&self) -> usize {
        self.bytes - self.items * Self::cost(0)
    }

    pub(crate) fn add(&mut self, payload_bytes: usize) {
        self.items += 1;
        self.bytes += Self::cost(payload_bytes);
    }

    pub(crate) fn remove(&mut self, payload_bytes: usize) {
        self.items -= 1;
        self.bytes -= Self::cost(payload_bytes);
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Totals {
    fn sub_assign(&mut self, other: Self) {
        self.items -= other.items;
        self.bytes -= other.bytes;
    }
}

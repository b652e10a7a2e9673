//! Counts of live items and their cost, stored with each segment and each checkpoint.
//!
//! Keeping them up to date makes sizes and limits O(1), without a walk over items.

use std::ops::{AddAssign, SubAssign};

use super::cost::{ENTRY_BYTES, SLOT_BYTES};
use crate::internal::invariant::{checked_invariant, subtract};

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
    pub(crate) fn payload_bytes(&self) -> usize {
        let mut bytes = self.bytes;
        subtract(
            &mut bytes,
            self.items * Self::cost(0),
            "C2",
            "a total has the overhead of its items",
        );
        bytes
    }

    pub(crate) fn add(&mut self, payload_bytes: usize) {
        self.items += 1;
        self.bytes += Self::cost(payload_bytes);
    }

    pub(crate) fn remove(&mut self, payload_bytes: usize) {
        checked_invariant!(
            self.items >= 1 && self.bytes >= Self::cost(payload_bytes),
            "C2",
            "a total has the item that is removed"
        );
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
        let what = "a total has the items that are removed";
        subtract(&mut self.items, other.items, "C2", what);
        subtract(&mut self.bytes, other.bytes, "C2", what);
    }
}

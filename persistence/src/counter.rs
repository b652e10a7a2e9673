//! Counters for statistics, shared by threads, and conversions between lengths in memory and numbers of
//! files.
//!
//! A bare `as` does not show whether it can lose anything; here each direction has a name. Nothing is lost
//! (E31): what becomes a length in memory is a part of something that is in memory.
//!
//! A counter's accesses are relaxed: no other memory is read or written because of a counter's value.

use std::sync::atomic::{AtomicU64, Ordering};

use lowtide_checkpoint::internal::checked_invariant;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns the current value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Converts a length or a count.
#[inline]
pub(crate) const fn to_u64(length: usize) -> u64 {
    length as u64
}

/// Converts the offset or the length of a part of something in memory.
#[inline]
pub(crate) fn to_usize(part: u64) -> usize {
    checked_invariant!(
        usize::try_from(part).is_ok(),
        "E31",
        "a part of memory has a length of usize"
    );
    part as usize
}

//! Conversions between lengths in memory and numbers of files.
//!
//! A bare `as` does not show whether it can lose anything. Here each direction has a name.
//!
//! # Invariants
//!
//! Nothing is lost (E31): a number that becomes a length in memory is that of a part of something in
//! memory.

use lowtide_checkpoint::internal::checked_invariant;

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

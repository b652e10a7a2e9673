//! Conversions between lengths in memory and numbers of files.
//!
//! A bare `as` does not show whether it can lose anything. Here each direction has a name.
//!
//! # Invariants
//!
//! Nothing is lost (E31): `usize` has 32 or 64 bits, and a number of 64 bits that becomes a length in
//! memory is that of a part of something in memory.

use lowtide_checkpoint::internal::checked_invariant;

/// Converts a length or a count. Any fits.
#[inline]
pub(crate) const fn to_u64(length: usize) -> u64 {
    length as u64
}

/// Converts a number of 32 bits to a length or an index. Any fits.
#[inline]
pub(crate) const fn to_usize(number: u32) -> usize {
    number as usize
}

/// Converts the offset or the length of a part of something in memory. Other numbers of 64 bits may
/// not fit.
#[inline]
pub(crate) fn part_to_usize(part: u64) -> usize {
    checked_invariant!(
        usize::try_from(part).is_ok(),
        "E31",
        "a part of memory has a length of usize"
    );
    part as usize
}

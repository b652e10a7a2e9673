//! The numbers of the formats: reading them from bytes, and converting them to lengths in memory and
//! back. Each is written once.
//!
//! The conversions that both engines need are those of [`crate::numbers`].
//!
//! # Invariants
//!
//! Nothing is lost (L49): what becomes a `u32` is a part of a segment or a number of segments.

use lowtide_checkpoint::internal::checked_invariant;

pub(in crate::logstor) use crate::numbers::{to_u64, to_usize};

/// Converts the length of a part of a segment, or a number of segments, files or frames.
#[inline]
pub(in crate::logstor) fn to_u32(length: usize) -> u32 {
    checked_invariant!(
        u32::try_from(length).is_ok(),
        "L49",
        "a part of a segment has a length of 32 bits"
    );
    length as u32
}

/// Reads the number at an offset. `None` behind the end of the bytes.
#[inline]
pub(in crate::logstor) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Same as [`u16_at`], for a longer number.
#[inline]
pub(in crate::logstor) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Same as [`u16_at`], for a longer number.
#[inline]
pub(in crate::logstor) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

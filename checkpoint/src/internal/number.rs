//! Conversions of numbers that lose nothing, and that std does not offer as `From`.

/// Converts a size to 64 bits. No target has wider addresses.
#[inline]
#[must_use]
pub const fn to_u64(size: usize) -> u64 {
    size as u64
}

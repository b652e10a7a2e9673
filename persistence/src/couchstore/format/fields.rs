//! Big-endian fields of any width up to eight bytes, as every structure of the format uses them.
//!
//! Reading takes fields off the front of a slice, and returns `None` if the slice is too short.
//! Nothing here panics.

use lowtide_checkpoint::internal::checked_invariant;

/// The largest number of 48 bits: seqnos, revisions, positions of nodes, sizes of subtrees.
pub(crate) const U48_MAX: u64 = (1 << 48) - 1;

/// The unread rest of a structure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes the next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes the next `width` bytes as a number; `width` is at most 8.
    pub(crate) fn uint(&mut self, width: usize) -> Option<u64> {
        Some(
            self.bytes(width)?
                .iter()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
        )
    }

    /// Takes a byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (&taken, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes a length or count of two bytes.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*taken))
    }

    /// Takes a number of four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*taken))
    }

    /// Returns everything not yet taken.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Appends `value` in `width` bytes, highest first; `width` is at most 8.
pub(crate) fn put(out: &mut Vec<u8>, value: u64, width: usize) {
    checked_invariant!(
        width >= 8 || value >> (8 * width) == 0,
        "E31",
        "a number fits its field"
    );
    out.extend(
        value
            .to_be_bytes()
            .into_iter()
            .skip(8_usize.saturating_sub(width)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_of_any_width_round_trips() {
        for width in 1..=8 {
            let value = 0x0123_4567_89ab_cdef_u64 >> (8 * (8 - width));
            let mut out = Vec::new();
            put(&mut out, value, width);
            assert_eq!(out.len(), width);
            assert_eq!(Fields::new(&out).uint(width), Some(value));
            assert_eq!(Fields::new(&out).uint(width + 1), None);
        }
    }
}

//! Fixed fields of a frame's parts, read and written in order.
//!
//! A [`Reader`] returns one field after another. It fails with the command and the part when the
//! part is too short, and [`finish`](Reader::finish) fails when bytes are left. [`Extras`] is the
//! writer; it does not allocate.
//!
//! # Invariants
//!
//! - S34. The longest layout fits into [`Extras`].

use lowtide_checkpoint::internal::Invariant;

use super::error::{Part, WireError};
use super::opcode::Opcode;

/// Reads a part's fields in order.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    opcode: Opcode,
    part: Part,
    part_bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(opcode: Opcode, part: Part, bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            opcode,
            part,
            part_bytes: bytes.len(),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.length_error())?;
        self.rest = rest;
        Ok(*field)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.take().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.take().map(u64::from_be_bytes)
    }

    /// Skips `count` bytes and returns them.
    pub fn skip(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (skipped, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.length_error())?;
        self.rest = rest;
        Ok(skipped)
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes read so far.
    pub const fn consumed(&self) -> usize {
        self.part_bytes - self.rest.len()
    }

    /// Ends the part. Fails if bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.length_error())
        }
    }

    fn length_error(&self) -> WireError {
        WireError::Length {
            opcode: self.opcode,
            part: self.part,
            found: self.part_bytes,
        }
    }
}

/// Extras under construction. Holds up to the longest layout, which is that of a stream request.
#[derive(Clone, Copy)]
pub(super) struct Extras {
    bytes: [u8; Self::BYTES_MAX],
    len: usize,
}

impl Extras {
    const BYTES_MAX: usize = 48;

    pub const fn new() -> Self {
        Self {
            bytes: [0; Self::BYTES_MAX],
            len: 0,
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        // Extras of the wrong length are refused by the receiver.
        self.bytes
            .get(..self.len)
            .expected("S34", "extras end inside their buffer")
            .unwrap_or_default()
    }

    #[must_use]
    pub fn u8(self, field: u8) -> Self {
        self.put([field])
    }

    #[must_use]
    pub fn u16(self, field: u16) -> Self {
        self.put(field.to_be_bytes())
    }

    #[must_use]
    pub fn u32(self, field: u32) -> Self {
        self.put(field.to_be_bytes())
    }

    #[must_use]
    pub fn u64(self, field: u64) -> Self {
        self.put(field.to_be_bytes())
    }

    fn put<const N: usize>(mut self, field: [u8; N]) -> Self {
        let end = self.len + N;
        let slot = self
            .bytes
            .get_mut(self.len..end)
            .expected("S34", "the longest extras fit into their buffer");
        // Without the field the extras have the wrong length, which the receiver refuses.
        if let Some(slot) = slot {
            slot.copy_from_slice(&field);
            self.len = end;
        }
        self
    }
}

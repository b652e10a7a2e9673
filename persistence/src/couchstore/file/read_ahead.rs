//! Reading ahead: a stretch of a file is read at once, and served in pieces.
//!
//! # Invariants
//!
//! E23. A piece is exactly what a read of that piece alone would return. Nothing counts as checked
//! because it was read with something else, and nothing is damaged because its neighbour is
//! unreadable. This holds for two reasons. Only bytes below the end of a commit are read, which
//! never change while it has readers. A failed read is repeated without the part that was not asked
//! for.
//!
//! The stretch adapts to the share of it that was used, so a reader that jumps reads little in
//! vain. Memory is at most [`AHEAD_BYTES_MAX`], or the largest piece that was asked for.

use std::ops::Range;

use lowtide_checkpoint::internal::Invariant as _;

use crate::contract::EngineError;
use crate::numbers::{part_to_usize, to_u64};

use super::source::Source;

/// Shortest stretch that is worth reading ahead.
const AHEAD_BYTES_MIN: u64 = 4 << 10;
/// Longest stretch. A longer one falls out of the processor's cache before it is used.
pub(crate) const AHEAD_BYTES_MAX: u64 = 128 << 10;

/// A part of one file in memory.
#[derive(Debug)]
pub(crate) struct ReadAhead<'a> {
    pub(crate) source: &'a Source,
    raw: Vec<u8>,
    /// Position of the part in the file.
    start: u64,
    /// Bytes of `raw` that were read.
    filled: usize,
    /// Bytes that are read at once, if more than was asked for.
    ahead_bytes: u64,
    ahead_bytes_max: u64,
    /// Bytes of the part that were asked for, or a little more.
    used_bytes: u64,
}

impl<'a> ReadAhead<'a> {
    /// Makes a reader that never reads ahead.
    pub(crate) const fn exact(source: &'a Source) -> Self {
        Self::new(source, 0)
    }

    /// Makes a reader that reads ahead while that pays, `first_bytes` at first.
    pub(crate) fn ahead(source: &'a Source, first_bytes: u64) -> Self {
        // The first read doubles it.
        let ahead_bytes = first_bytes.min(AHEAD_BYTES_MAX) / 2;
        Self {
            ahead_bytes,
            ..Self::new(source, AHEAD_BYTES_MAX)
        }
    }

    const fn new(source: &'a Source, ahead_bytes_max: u64) -> Self {
        let raw = Vec::new();
        Self {
            source,
            raw,
            start: 0,
            filled: 0,
            ahead_bytes: 0,
            ahead_bytes_max,
            used_bytes: 0,
        }
    }

    /// Reads the bytes `start..end`, type bytes included, unless they are in memory. Returns their
    /// range in [`ReadAhead::raw`], which is shorter only at the end of the file. Reading ahead
    /// ends at `bound`.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] for a length that no memory can hold.
    pub(crate) fn fetch(
        &mut self,
        start: u64,
        end: u64,
        bound: u64,
    ) -> Result<Range<usize>, EngineError> {
        if !self.holds(start, end) {
            self.read(start, end, bound)?;
        }
        let from = part_to_usize(start - self.start);
        Ok(from..(part_to_usize(end - self.start)).min(self.filled))
    }

    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Notes that this number of bytes was used.
    pub(crate) const fn used(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_add(bytes);
    }

    /// Returns the memory, owned.
    pub(crate) fn into_raw(self) -> Vec<u8> {
        self.raw
    }

    const fn holds(&self, start: u64, end: u64) -> bool {
        start >= self.start && end <= self.start + to_u64(self.filled)
    }

    fn read(&mut self, start: u64, end: u64, bound: u64) -> Result<(), EngineError> {
        let paid = start >= self.start && self.used_bytes.saturating_mul(4) >= to_u64(self.filled);
        self.ahead_bytes = if paid {
            (self.ahead_bytes * 2)
                .max(AHEAD_BYTES_MIN)
                .min(self.ahead_bytes_max)
        } else {
            self.ahead_bytes / 4
        };
        self.used_bytes = 0;
        let ahead = start.saturating_add(self.ahead_bytes).min(bound);
        // A failure behind the piece must not fail the read of the piece.
        if ahead > end && self.load(start, ahead).is_ok() {
            return Ok(());
        }
        self.load(start, end)
    }

    fn load(&mut self, start: u64, end: u64) -> Result<(), EngineError> {
        let length = usize::try_from(end - start).map_err(|_| {
            self.source
                .corrupt(start, "length exceeds the address space")
        })?;
        (self.start, self.filled) = (start, 0);
        if self.raw.len() < length {
            // A new allocation, because growing the old one would copy its bytes.
            self.raw = vec![0; length];
        }
        let buffer = self.raw.get_mut(..length);
        let Some(buffer) = buffer.expected("E23", "the stretch has room for what is read") else {
            // Nothing is filled, so the piece counts as cut short.
            return Ok(());
        };
        self.filled = self.source.file.read_at(buffer, start)?;
        Ok(())
    }
}

//! Bytes of a file that are read ahead of those who ask for them: a stretch of the file goes in, pieces of it come out.
//!
//! E23. What comes out is what a read of the piece alone would bring: nothing is taken for checked because it was read
//! with something else, and nothing is damaged because its neighbour can't be read. That holds because only bytes below
//! the bound of a commit are read, which never change while it has readers, and because a read that fails is tried again
//! without what was not asked for.
//!
//! How much is read ahead follows what of it was used, so that a reader who jumps pays for what he reads. Memory is
//! [`AHEAD_BYTES_MAX`] at most, or the largest piece that was asked for.

use std::ops::Range;

use crate::contract::EngineError;

use super::source::Source;

/// The least that is worth reading ahead.
const AHEAD_BYTES_MIN: u64 = 4 << 10;
/// The most. Larger ones fall out of the processor's cache before they are used.
pub(crate) const AHEAD_BYTES_MAX: u64 = 128 << 10;

/// A part of one file in memory.
#[derive(Debug)]
pub(crate) struct ReadAhead<'a> {
    pub(crate) source: &'a Source,
    raw: Vec<u8>,
    /// Where in the file it begins.
    start: u64,
    /// How much of `raw` was read.
    filled: usize,
    /// How much is read at once, if more than was asked for.
    ahead_bytes: u64,
    ahead_bytes_max: u64,
    /// How much of the window was asked for, or a little more.
    used_bytes: u64,
}

impl<'a> ReadAhead<'a> {
    /// Reads what is asked for, and no more.
    pub(crate) const fn exact(source: &'a Source) -> Self {
        Self::new(source, 0)
    }

    /// Reads ahead while that pays; `first_bytes` at first.
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

    /// Reads the bytes `start..end`, type bytes included, if they are not there; says where in [`ReadAhead::raw`] they are:
    /// fewer only where the file ends. What is read ahead ends at `bound`.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] for a length no memory can hold.
    pub(crate) fn fetch(
        &mut self,
        start: u64,
        end: u64,
        bound: u64,
    ) -> Result<Range<usize>, EngineError> {
        if !self.holds(start, end) {
            self.read(start, end, bound)?;
        }
        let from = (start - self.start) as usize;
        Ok(from..((end - self.start) as usize).min(self.filled))
    }

    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Says that so many of the bytes were of use.
    pub(crate) const fn used(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_add(bytes);
    }

    /// As [`ReadAhead::raw`], to keep.
    pub(crate) fn into_raw(self) -> Vec<u8> {
        self.raw
    }

    const fn holds(&self, start: u64, end: u64) -> bool {
        start >= self.start && end <= self.start + self.filled as u64
    }

    fn read(&mut self, start: u64, end: u64, bound: u64) -> Result<(), EngineError> {
        let paid = start >= self.start && self.used_bytes.saturating_mul(4) >= self.filled as u64;
        self.ahead_bytes = match paid {
            true => (self.ahead_bytes * 2)
                .max(AHEAD_BYTES_MIN)
                .min(self.ahead_bytes_max),
            false => self.ahead_bytes / 4,
        };
        self.used_bytes = 0;
        let ahead = start.saturating_add(self.ahead_bytes).min(bound);
        // What can't be read behind the piece is nothing to whoever asked for the piece.
        if ahead > end && self.load(start, ahead).is_ok() {
            return Ok(());
        }
        self.load(start, end)
    }

    fn load(&mut self, start: u64, end: u64) -> Result<(), EngineError> {
        let length = usize::try_from(end - start)
            .map_err(|_| self.source.corrupt(start, "a length no memory can hold"))?;
        (self.start, self.filled) = (start, 0);
        if self.raw.len() < length {
            // Nothing of the old bytes is to be copied.
            self.raw = vec![0; length];
        }
        let Some(buffer) = self.raw.get_mut(..length) else {
            return Ok(());
        };
        self.filled = self.source.file.read_at(buffer, start)?;
        Ok(())
    }
}

//! The source of an import: pieces that are read and verified one by one, in order.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use lowtide_checkpoint::Vbid;

use super::export_format::{HEAD_BYTES_MAX, Head, PREFIX_BYTES, PieceKind, Prefix, exported};
use crate::contract::EngineError;
use crate::logstor::format::{to_u64, to_usize};
use crate::shared::record;

/// The pieces of an export.
pub(super) struct ImportSource {
    pieces: Box<dyn Read + Send>,
    /// Offset of the last piece that was read, or is being read.
    offset: u64,
    /// Offset of the next piece.
    next: u64,
    /// Number of the next piece.
    number: u32,
    vb: Vbid,
}

impl fmt::Debug for ImportSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportSource")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl ImportSource {
    pub(super) fn new(pieces: Box<dyn Read + Send>, vb: Vbid) -> Self {
        Self {
            pieces,
            offset: 0,
            next: 0,
            number: 0,
            vb,
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`]; [`EngineError::InvalidArgument`] if reading fails.
    pub(super) fn next(&mut self) -> Result<(PieceKind, Bytes), EngineError> {
        self.offset = self.next;
        let mut prefix = [0; PREFIX_BYTES];
        let read = self.pieces.read_exact(&mut prefix);
        read.map_err(|error| self.failed(&error))?;
        let prefix = Prefix::decode(&prefix).filter(|prefix| prefix.number == self.number);
        let prefix = prefix.ok_or_else(|| self.corrupt("no piece, or not the next one"))?;
        let mut payload = Vec::new();
        // The buffer grows as bytes arrive, whatever the prefix claims.
        let read = (&mut self.pieces)
            .take(prefix.payload_bytes.into())
            .read_to_end(&mut payload);
        read.map_err(|error| self.failed(&error))?;
        if payload.len() != to_usize(prefix.payload_bytes) || !prefix.fits(&payload) {
            return Err(self.corrupt("a damaged piece, or a part of one"));
        }
        self.next += to_u64(PREFIX_BYTES + payload.len());
        // A piece with the number after the last one could not be the next.
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| self.corrupt("more pieces than there are numbers"))?;
        Ok((prefix.kind, payload.into()))
    }

    /// Reads the head.
    ///
    /// # Errors
    /// Same as [`ImportSource::next`].
    pub(super) fn head(&mut self) -> Result<Head, EngineError> {
        let (kind, payload) = self.next()?;
        if kind != PieceKind::Head {
            return Err(self.corrupt("an export begins with a head"));
        }
        self.decode(&payload)
    }

    /// Decodes a head or an end.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(super) fn decode<T: serde::de::DeserializeOwned>(
        &self,
        payload: &[u8],
    ) -> Result<T, EngineError> {
        let (value, _) = record::decode(payload, HEAD_BYTES_MAX)
            .map_err(|_| self.corrupt("a damaged head or end"))?;
        Ok(value)
    }

    fn failed(&self, error: &io::Error) -> EngineError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.corrupt("it ends early");
        }
        EngineError::InvalidArgument(format!(
            "vBucket {}: the export can't be read: {error}",
            self.vb
        ))
    }

    /// Returns the error of a damaged piece, with its offset.
    pub(super) fn corrupt(&self, what: &str) -> EngineError {
        let path = exported(self.vb);
        EngineError::Corrupt {
            path,
            offset: self.offset,
            what: what.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::export_format::piece;
    use super::*;

    #[test]
    fn damage_in_a_piece_is_reported_with_the_offset_of_the_piece() {
        let first = piece(PieceKind::Records, 0, b"one");
        let second = piece(PieceKind::Records, 1, b"two");
        let pieces = [&first[..], &second].concat();
        let whole = to_u64(pieces.len());
        let mut source = ImportSource::new(Box::new(io::Cursor::new(pieces)), Vbid(7));
        let offset_of = |error: EngineError| match error {
            EngineError::Corrupt { offset, .. } => offset,
            other => panic!("{other}"),
        };
        for start in [0, to_u64(first.len())] {
            source.next().expect("sound");
            assert_eq!(offset_of(source.corrupt("a damaged record")), start);
        }
        assert_eq!(offset_of(source.next().expect_err("over")), whole);
    }
}

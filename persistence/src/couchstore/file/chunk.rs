//! Chunks: bodies of documents and nodes of trees, each with its length and checksum. They cross
//! block boundaries.
//!
//! Reading a position returns the bytes that were written there, or an error that names the
//! position. In an encrypted file a chunk has a length without the chunk bit and no checksum: the
//! cipher's tag serves as one.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::internal::Invariant as _;

use crate::contract::EngineError;
use crate::couchstore::format::chunk_head::{HEAD_BYTES, SEALED_HEAD_BYTES, sealed_body_bytes};
use crate::couchstore::format::{ChunkHead, block};
use crate::numbers::{part_to_usize, to_u64};

use super::cipher::{Cipher, TAG_BYTES};
use super::read_ahead::ReadAhead;
use super::source::Source;

/// Bytes read first if a chunk's size is unknown. Most nodes are well below.
pub(crate) const NODE_HINT: u64 = 1000;

/// Reads a body's length from a chunk's first bytes, or returns `None` if no chunk begins with
/// them.
fn body_length(source: &Source, data: &[u8]) -> Option<u64> {
    if source.cipher.is_none() {
        return Some(ChunkHead::decode(data)?.body_bytes);
    }
    sealed_body_bytes(data).filter(|&length| length >= TAG_BYTES as u64)
}

/// Returns the size on disk, without type bytes, of a chunk whose body [`read`] returned.
pub(crate) fn disk_bytes(source: &Source, body: &[u8]) -> u64 {
    let around = if source.cipher.is_some() {
        SEALED_HEAD_BYTES + TAG_BYTES as u64
    } else {
        HEAD_BYTES
    };
    around + to_u64(body.len())
}

/// Reads the chunk at `position`, which ends at or before `bound`. `hint` is a guess of the body's
/// length.
///
/// # Errors
/// [`EngineError::Corrupt`] if there is no whole, matching chunk; [`EngineError::Disk`].
pub(crate) fn read(
    source: &Source,
    position: u64,
    hint: u64,
    bound: u64,
) -> Result<Bytes, EngineError> {
    let mut reader = ChunkReader::new(ReadAhead::exact(source));
    let Place { in_data, range } = reader.find(position, hint, bound)?;
    let bytes = if in_data {
        reader.data
    } else {
        reader.window.into_raw()
    };
    Ok(Bytes::from(bytes).slice(range))
}

/// A reader of many chunks that reuses its memory.
#[derive(Debug)]
pub(crate) struct ChunkReader<'a> {
    window: ReadAhead<'a>,
    /// Head and body of a chunk that crosses a boundary or is encrypted, without type bytes.
    data: Vec<u8>,
}

/// Place of a body: in the reader's own memory, or in that of the read-ahead.
#[derive(Debug)]
struct Place {
    in_data: bool,
    range: Range<usize>,
}

impl<'a> ChunkReader<'a> {
    pub(crate) const fn new(window: ReadAhead<'a>) -> Self {
        Self {
            window,
            data: Vec::new(),
        }
    }

    /// Same as the function [`read`], but the bytes are valid until the next call only.
    ///
    /// # Errors
    /// Same as the function [`read`].
    pub(crate) fn read(
        &mut self,
        position: u64,
        hint: u64,
        bound: u64,
    ) -> Result<&[u8], EngineError> {
        let Place { in_data, range } = self.find(position, hint, bound)?;
        let bytes = if in_data {
            &self.data
        } else {
            self.window.raw()
        };
        bytes
            .get(range)
            .invariant("E23", "a body lies inside what was read")
            .map_err(|violation| self.window.source.internal(violation))
    }

    fn find(&mut self, position: u64, hint: u64, bound: u64) -> Result<Place, EngineError> {
        let source = self.window.source;
        let head_bytes = if source.cipher.is_some() {
            SEALED_HEAD_BYTES
        } else {
            HEAD_BYTES
        };
        let start = block::data_start(position);
        let guess = block::end_of(start, head_bytes.saturating_add(hint)).min(bound);
        if position == 0 || start >= guess {
            return Err(source.corrupt(position, "pointer beyond the end of the data"));
        }
        let fetched = self.window.fetch(start, guess, bound)?;
        let place = self.place(start, head_bytes, fetched);
        let body_bytes = body_length(source, self.bytes(&place));
        let body_bytes =
            body_bytes.ok_or_else(|| source.corrupt(position, "no chunk begins here"))?;
        let length = head_bytes + body_bytes;
        let end = block::end_of(start, length);
        if end > bound {
            return Err(
                source.corrupt(position, format!("chunk of {body_bytes} bytes is too long"))
            );
        }
        let fetched = self.window.fetch(start, end, bound)?;
        self.window.used(end - start);
        let place = self.place(start, length, fetched);
        if (to_u64(place.range.len())) < length {
            return Err(source.corrupt(position, "chunk is cut short"));
        }
        match &source.cipher {
            None => self.verified(place, position),
            Some(cipher) => self.opened(place, cipher, start, position),
        }
    }

    fn verified(&self, mut place: Place, position: u64) -> Result<Place, EngineError> {
        let source = self.window.source;
        let checksum = ChunkHead::decode(self.bytes(&place)).map(|head| head.checksum);
        place.range.start += HEAD_BYTES as usize;
        if Some(source.checksum.of(self.bytes(&place))) != checksum {
            return Err(source.corrupt(position, "checksum of chunk does not match"));
        }
        Ok(place)
    }

    fn opened(
        &mut self,
        place: Place,
        cipher: &Cipher,
        start: u64,
        position: u64,
    ) -> Result<Place, EngineError> {
        let mut sealed = self
            .bytes(&place)
            .get(SEALED_HEAD_BYTES as usize..)
            .unwrap_or_default()
            .to_vec();
        if !cipher.open(start, &mut sealed) {
            let what = "encrypted chunk fails authentication";
            return Err(self.window.source.corrupt(position, what));
        }
        self.data = sealed;
        Ok(Place {
            in_data: true,
            range: 0..self.data.len(),
        })
    }

    /// Returns the place of the first `length` data bytes of `fetched`, which was read at `start`.
    /// It is shorter if the bytes are.
    fn place(&mut self, start: u64, length: u64, fetched: Range<usize>) -> Place {
        if length <= block::room(start) {
            let range = fetched.start
                ..fetched
                    .end
                    .min(fetched.start.saturating_add(part_to_usize(length)));
            return Place {
                in_data: false,
                range,
            };
        }
        self.data.clear();
        block::strip_into(
            &mut self.data,
            self.window.raw().get(fetched).unwrap_or_default(),
            start,
        );
        Place {
            in_data: true,
            range: 0..self.data.len().min(part_to_usize(length)),
        }
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        let bytes = if place.in_data {
            &self.data
        } else {
            self.window.raw()
        };
        let bytes = bytes.get(place.range.clone());
        // Of no bytes neither head nor checksum is right: the chunk is reported as damaged.
        bytes
            .expected("E23", "a place lies inside what was read")
            .unwrap_or_default()
    }
}

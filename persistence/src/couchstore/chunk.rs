//! Chunks: bodies of documents and nodes of trees, each with its length and checksum, running over block boundaries.
//!
//! In goes a position, out come the bytes that were written there, or an error that names the position. Nothing tells
//! what a chunk is but the pointer to it.

use bytes::Bytes;

use crate::EngineError;

use super::block;
use super::checksum::Checksum;
use super::fields::{Fields, put};
use super::source::Source;

/// Bytes before the body: length and checksum.
pub(super) const HEAD_BYTES: u64 = 8;
/// Set in every chunk's length, and in no header's.
const CHUNK_BIT: u64 = 1 << 31;

/// What one read brings when nothing is known of a chunk's size; most nodes are well below.
pub(super) const NODE_HINT: u64 = 1000;

/// What is in the eight bytes at a chunk's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) body_bytes: u64,
    pub(super) checksum: u32,
}

impl Head {
    /// `None` if the bytes are too few or no chunk begins with them.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let word = fields.uint(4)?;
        let checksum = fields.uint(4)? as u32;
        (word & CHUNK_BIT != 0).then_some(Self { body_bytes: word & (CHUNK_BIT - 1), checksum })
    }

    /// The eight bytes before `body`, which is shorter than 2 GiB.
    pub(super) fn encode(body: &[u8], checksum: Checksum) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES as usize);
        put(&mut out, CHUNK_BIT | body.len() as u64, 4);
        put(&mut out, u64::from(checksum.of(body)), 4);
        out
    }
}

/// Reads the chunk at `position`, which ends at or before `bound`. `hint` is a guess of the body's length.
///
/// # Errors
/// [`EngineError::Corrupt`] if there is no whole, matching chunk; [`EngineError::Disk`].
pub(super) fn read(source: &Source, position: u64, hint: u64, bound: u64) -> Result<Bytes, EngineError> {
    let start = block::data_start(position);
    let guess = block::end_of(start, HEAD_BYTES.saturating_add(hint)).min(bound);
    if position == 0 || start >= guess {
        return Err(source.corrupt(position, "pointer beyond the end of the data"));
    }
    let mut data = block::strip(source.read_raw(start, guess - start)?, start);
    let head = data.get(..HEAD_BYTES as usize).and_then(Head::decode);
    let head = head.ok_or_else(|| source.corrupt(position, "no chunk begins here"))?;
    let length = HEAD_BYTES + head.body_bytes;
    let end = block::end_of(start, length);
    if end > bound {
        return Err(source.corrupt(position, format!("chunk of {} bytes is too long", head.body_bytes)));
    }
    if end > guess {
        data = block::strip(source.read_raw(start, end - start)?, start);
    }
    if (data.len() as u64) < length {
        return Err(source.corrupt(position, "chunk is cut short"));
    }
    data.truncate(length as usize);
    let body = Bytes::from(data).slice(HEAD_BYTES as usize..);
    if source.checksum.of(&body) != head.checksum {
        return Err(source.corrupt(position, "checksum of chunk does not match"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_the_vendor_writes() {
        // The first chunk of the vendor's b_ten file.
        let head = Head::encode(br#"{"n":0,"s":"value-0"}"#, Checksum::Crc32c);
        assert_eq!(head, [0x80, 0, 0, 0x15, 0x23, 0x56, 0xb9, 0x05]);
        assert_eq!(Head::decode(&head), Some(Head { body_bytes: 21, checksum: 0x2356_b905 }));
        assert_eq!(Head::encode(b"", Checksum::Crc32c), [0x80, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_header_is_no_chunk() {
        assert_eq!(Head::decode(&[0, 0, 0, 0x64, 0x95, 0x7a, 0xd4, 0xe3]), None);
        assert_eq!(Head::decode(&[0x80, 0, 0, 0x15, 0x23, 0x56, 0xb9]), None);
    }
}

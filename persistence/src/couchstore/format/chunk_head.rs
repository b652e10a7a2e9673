//! The head of a chunk: the bytes before its body, which give its length and its checksum.
//!
//! Nothing in a chunk says whether it is a body or a node: only the pointer to it does. The head of
//! an encrypted chunk has a length without the chunk bit and no checksum, because the cipher's tag
//! serves as one.

use crate::numbers::to_u64;

use super::checksum::Checksum;
use super::fields::{Fields, put};

/// Bytes before the body: length and checksum.
pub(crate) const HEAD_BYTES: u64 = 8;
/// Bytes before the body of an encrypted chunk: its length.
pub(crate) const SEALED_HEAD_BYTES: u64 = 4;
/// Set in the length of every chunk, and in that of no header.
const CHUNK_BIT: u64 = 1 << 31;

/// The length and the checksum of a chunk's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHead {
    pub(crate) body_bytes: u64,
    pub(crate) checksum: u32,
}

impl ChunkHead {
    /// Reads a head, or returns `None` if the bytes are too few or no chunk begins with them.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let word = fields.uint(4)?;
        let checksum = fields.u32()?;
        (word & CHUNK_BIT != 0).then_some(Self {
            body_bytes: word & (CHUNK_BIT - 1),
            checksum,
        })
    }

    /// Returns the eight bytes before `body`, which is shorter than 2 GiB.
    pub(crate) fn encode(body: &[u8], checksum: Checksum) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES as usize);
        put(&mut out, CHUNK_BIT | to_u64(body.len()), 4);
        put(&mut out, u64::from(checksum.of(body)), 4);
        out
    }
}

/// Reads the length of an encrypted chunk's body, or returns `None` if no such chunk begins with
/// `bytes`.
pub(crate) fn sealed_body_bytes(bytes: &[u8]) -> Option<u64> {
    let length = Fields::new(bytes).uint(SEALED_HEAD_BYTES as usize)?;
    (length & CHUNK_BIT == 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_matches_the_vendors_bytes() {
        // The first chunk of the vendor's b_ten file.
        let head = ChunkHead::encode(br#"{"n":0,"s":"value-0"}"#, Checksum::Crc32c);
        assert_eq!(head, [0x80, 0, 0, 0x15, 0x23, 0x56, 0xb9, 0x05]);
        assert_eq!(
            ChunkHead::decode(&head),
            Some(ChunkHead {
                body_bytes: 21,
                checksum: 0x2356_b905
            })
        );
        assert_eq!(
            ChunkHead::encode(b"", Checksum::Crc32c),
            [0x80, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn header_is_not_decoded_as_a_chunk_head() {
        let header = [0, 0, 0, 0x64, 0x95, 0x7a, 0xd4, 0xe3];
        assert_eq!(ChunkHead::decode(&header), None);
        let cut = [0x80, 0, 0, 0x15, 0x23, 0x56, 0xb9];
        assert_eq!(ChunkHead::decode(&cut), None);
    }
}

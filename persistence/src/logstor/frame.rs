//! The frame: what is written to a segment at once. A header's fields go in, 64 bytes come out, and the other way round.
//!
//! ```text
//! magic u32 | kind u8 | version u8 | 0 u16 | generation u64 | number u64 | stable u64 | part u32 | parts u32
//! piece u32 | pieces u32 | payload bytes u32 | payload CRC-32C u32 | segment u32 | header CRC-32C u32
//! ```
//!
//! A frame begins on a 4 KiB boundary: header, records, zeros up to the next boundary. What always holds:
//!
//! - *Generation* (L1). Each use of a segment has a number that was never used before; all frames of that use carry it.
//!   So what a former use left behind is never taken for a part of this one.
//! - *Number and stable* (L2). Each append has a number, which its frames carry; and every frame says below which number
//!   all appends were durable, or given up for good, when it was written. So after a crash only what has a higher number
//!   than the highest such word is in doubt; a bad frame below it is damage.
//! - *Epochs.* The fields of pieces, in frames of whole records, are the lowest and the highest epoch of these. So where a
//!   payload is damaged, it is known whose records may have been in it (L24).
//! - A header lies in one sector: it is there as a whole or not at all. Its checksum is keyed, so that no value stored in
//!   a record can look like one.

use std::ops::RangeInclusive;

use super::config::BLOCK_BYTES;

/// Bytes of a header.
pub(super) const HEADER_BYTES: u32 = 64;
const HEADER: usize = HEADER_BYTES as usize;
pub(super) const MAGIC: [u8; 4] = *b"LTLG";
const VERSION: u8 = 2;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A part of a commit.
    Commit,
    /// Records moved from other segments.
    Moved,
    /// A piece of a record that is larger than a segment; the segment holds nothing else.
    Large,
    /// Nothing: the segment is free.
    Free,
}

const KINDS: [(FrameKind, u8); 4] = [
    (FrameKind::Commit, 1),
    (FrameKind::Moved, 2),
    (FrameKind::Large, 3),
    (FrameKind::Free, 4),
];

/// A frame's header, but for what is the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FrameKind,
    /// Of this use of the segment.
    pub(super) generation: u64,
    /// Of the append.
    pub(super) number: u64,
    /// Every append up to there was durable or given up.
    pub(super) stable: u64,
    /// Which part of the append this is.
    pub(super) part: u32,
    /// How many it has.
    pub(super) parts: u32,
    /// Of a large record: which piece. Of others: the lowest epoch.
    pub(super) piece: u32,
    /// Of a large record: how many. Of others: the highest epoch; 0 in a free frame.
    pub(super) pieces: u32,
    /// Bytes of records.
    pub(super) payload_bytes: u32,
    pub(super) payload_crc: u32,
    /// Where it belongs.
    pub(super) segment: u32,
}

impl Header {
    /// With which a free segment begins.
    pub(super) fn free(segment: u32, generation: u64, number: u64, stable: u64) -> Self {
        Self {
            kind: FrameKind::Free,
            generation,
            number,
            stable,
            part: 0,
            parts: 1,
            piece: 0,
            pieces: 0,
            payload_bytes: 0,
            payload_crc: 0,
            segment,
        }
    }

    /// The epochs its records may have; `None` of a piece of a large one.
    pub(super) fn epochs(&self) -> Option<RangeInclusive<u32>> {
        let is_told = matches!(self.kind, FrameKind::Commit | FrameKind::Moved) && self.piece > 0;
        is_told.then_some(self.piece..=self.pieces)
    }

    /// The generation that a header's bytes carry, unchecked.
    pub(super) fn generation_in(bytes: &[u8; HEADER]) -> Option<u64> {
        let generation = bytes.get(8..)?.first_chunk()?;
        bytes
            .starts_with(&MAGIC)
            .then_some(u64::from_be_bytes(*generation))
    }

    pub(super) fn encode(&self, hash_key: [u64; 2]) -> [u8; HEADER] {
        let kind = KINDS
            .iter()
            .find(|(kind, _)| *kind == self.kind)
            .map_or(0, |(_, code)| *code);
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[kind, VERSION, 0, 0]);
        for field in [self.generation, self.number, self.stable] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        for field in [
            self.part,
            self.parts,
            self.piece,
            self.pieces,
            self.payload_bytes,
            self.payload_crc,
            self.segment,
        ] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        let crc = keyed_crc(hash_key, &bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes.try_into().unwrap_or([0; HEADER])
    }

    /// The header at the start of `bytes`, if that is one of this segment.
    pub(super) fn decode(bytes: &[u8], segment: u32, hash_key: [u64; 2]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        if !bytes.starts_with(&MAGIC) {
            return None;
        }
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if keyed_crc(hash_key, checked) != u32::from_be_bytes(*crc) {
            return None;
        }
        let u32_at = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let [_, _, _, _, code, VERSION, 0, 0, ..] = *bytes else {
            return None;
        };
        let header = Self {
            kind: KINDS.iter().find(|(_, known)| *known == code)?.0,
            generation: u64_at(8)?,
            number: u64_at(16)?,
            stable: u64_at(24)?,
            part: u32_at(32)?,
            parts: u32_at(36)?,
            piece: u32_at(40)?,
            pieces: u32_at(44)?,
            payload_bytes: u32_at(48)?,
            payload_crc: u32_at(52)?,
            segment: u32_at(56)?,
        };
        (header.segment == segment).then_some(header)
    }

    /// Bytes from this frame's start to the next one's.
    pub(super) fn frame_bytes(&self) -> u32 {
        frame_bytes(self.payload_bytes)
    }
}

/// Bytes a frame with so much payload takes.
pub(super) fn frame_bytes(payload_bytes: u32) -> u32 {
    HEADER_BYTES
        .saturating_add(payload_bytes)
        .div_ceil(BLOCK_BYTES)
        .saturating_mul(BLOCK_BYTES)
}

/// A checksum nobody can foretell who does not know the key.
pub(super) fn keyed_crc(hash_key: [u64; 2], bytes: &[u8]) -> u32 {
    let [first, second] = hash_key.map(u64::to_be_bytes);
    crc32c::crc32c_append(
        crc32c::crc32c_append(crc32c::crc32c(&first), bytes),
        &second,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u64; 2] = [1, 2];

    fn header() -> impl Strategy<Value = Header> {
        let longs = (any::<u64>(), any::<u64>(), any::<u64>());
        let words = prop::array::uniform7(any::<u32>());
        (0..KINDS.len(), longs, words).prop_map(|(kind, (generation, number, stable), words)| {
            let [
                part,
                parts,
                piece,
                pieces,
                payload_bytes,
                payload_crc,
                segment,
            ] = words;
            let kind = KINDS[kind].0;
            Header {
                kind,
                generation,
                number,
                stable,
                part,
                parts,
                piece,
                pieces,
                payload_bytes,
                payload_crc,
                segment,
            }
        })
    }

    proptest! {
        #[test]
        fn a_header_comes_back_and_every_changed_bit_is_noticed(header in header()) {
            let bytes = header.encode(KEY);
            prop_assert_eq!(Header::decode(&bytes, header.segment, KEY), Some(header));
            prop_assert_eq!(Header::decode(&bytes, header.segment ^ 1, KEY), None, "another segment's");
            prop_assert_eq!(Header::decode(&bytes, header.segment, [1, 3]), None, "another store's");
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes;
                damaged[bit / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(Header::decode(&damaged, header.segment, KEY), None, "bit {}", bit);
            }
        }
    }

    #[test]
    fn frames_are_whole_blocks() {
        assert_eq!(
            [0, 1, 4032, 4033, 8128].map(frame_bytes),
            [4096, 4096, 4096, 8192, 8192]
        );
    }
}

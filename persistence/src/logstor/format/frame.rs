//! The frame: the unit in which a segment is written.
//!
//! ```text
//! magic u32 | kind u8 | version u8 | 0 u16 | generation u64 | append u64 | settled u64
//! part u32 | parts u32 | detail u32 u32
//! payload bytes u32 | payload CRC-32C u32 | segment u32 | header CRC-32C u32
//! ```
//!
//! A frame begins on a 4 KiB boundary: header, records, zeros up to the next boundary.
//!
//! # Invariants
//!
//! - *Generation* (L1). Each use of a segment has a number that was never used before, and all
//!   frames of that use carry it. So the remains of an earlier use are never taken for a part of
//!   this one.
//! - *Append and settled* (L2). Each append has a number, which its frames carry. Every frame also
//!   carries the number up to which all appends were durable or abandoned when it was written. So
//!   after a crash only appends above the highest such number are in doubt; a bad frame at or below
//!   it is damage.
//! - *Detail.* A frame of whole records carries the lowest and the highest epoch of these. So where
//!   a payload is damaged, the vBuckets that it may harm are known (L24). A fragment of a large
//!   record carries its index.
//! - A header lies in one sector: it is written as a whole or not at all. Its checksum is keyed: no
//!   stored value can be crafted to look like a header.

use crate::logstor::hash_key::HashKey;
use std::ops::RangeInclusive;

use super::integers::{to_usize, u32_at, u64_at};
use crate::logstor::config::BLOCK_BYTES;

/// Bytes of a header.
pub(in crate::logstor) const HEADER_BYTES: u32 = 64;
const HEADER: usize = to_usize(HEADER_BYTES);
/// Bytes of a header before its checksum.
const CHECKED: usize = HEADER - size_of::<u32>();
pub(in crate::logstor) const MAGIC: [u8; 4] = *b"LTLG";
const VERSION: u8 = 2;

/// Contents of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum FrameKind {
    /// A part of a commit.
    Commit,
    /// Records moved from other segments.
    Moved,
    /// A fragment of a record that is larger than a segment; the segment holds nothing else.
    Large,
    /// Nothing: the segment is free.
    Free,
}

impl FrameKind {
    const ALL: [Self; 4] = [Self::Commit, Self::Moved, Self::Large, Self::Free];

    const fn code(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Moved => 2,
            Self::Large => 3,
            Self::Free => 4,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A fragment of a large record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Fragment {
    pub(in crate::logstor) index: u32,
    /// Fragments of the record.
    pub(in crate::logstor) count: u32,
}

/// Two numbers whose meaning depends on the frame's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum FrameDetail {
    /// The lowest and the highest epoch of its records; zeros in a free frame.
    Epochs(u32, u32),
    /// In a frame of kind [`FrameKind::Large`].
    Fragment(Fragment),
}

impl FrameDetail {
    fn decode(kind: FrameKind, [first, second]: [u32; 2]) -> Self {
        match kind {
            FrameKind::Large => Self::Fragment(Fragment {
                index: first,
                count: second,
            }),
            _ => Self::Epochs(first, second),
        }
    }

    const fn words(self) -> [u32; 2] {
        match self {
            Self::Epochs(lowest, highest) => [lowest, highest],
            Self::Fragment(Fragment { index, count }) => [index, count],
        }
    }
}

/// A frame's header, except the fields that are the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct FrameHeader {
    pub(in crate::logstor) kind: FrameKind,
    /// Number of this use of the segment.
    pub(in crate::logstor) generation: u64,
    /// Number of the append.
    pub(in crate::logstor) append_seqno: u64,
    /// Every append up to this one was durable or abandoned.
    pub(in crate::logstor) settled: u64,
    /// Index of this frame within the append.
    pub(in crate::logstor) part: u32,
    /// Frames of the append.
    pub(in crate::logstor) parts: u32,
    pub(in crate::logstor) detail: FrameDetail,
    /// Bytes of records.
    pub(in crate::logstor) payload_bytes: u32,
    pub(in crate::logstor) payload_crc: u32,
    /// The segment it was written to.
    pub(in crate::logstor) segment: u32,
}

impl FrameHeader {
    /// Returns the header of a free segment.
    pub(in crate::logstor) fn free(
        segment: u32,
        generation: u64,
        append_seqno: u64,
        settled: u64,
    ) -> Self {
        Self {
            kind: FrameKind::Free,
            generation,
            append_seqno,
            settled,
            part: 0,
            parts: 1,
            detail: FrameDetail::Epochs(0, 0),
            payload_bytes: 0,
            payload_crc: 0,
            segment,
        }
    }

    /// Returns the epochs its records may have; `None` for a fragment of a large record.
    pub(in crate::logstor) fn epochs(&self) -> Option<RangeInclusive<u32>> {
        match (self.kind, self.detail) {
            (FrameKind::Commit | FrameKind::Moved, FrameDetail::Epochs(lowest, highest)) => {
                (lowest > 0).then_some(lowest..=highest)
            }
            _ => None,
        }
    }

    /// Returns the fragment of a large record that it holds.
    pub(in crate::logstor) const fn fragment(&self) -> Option<Fragment> {
        match self.detail {
            FrameDetail::Fragment(fragment) => Some(fragment),
            FrameDetail::Epochs(..) => None,
        }
    }

    /// Returns the generation that a header's bytes carry, unchecked.
    pub(in crate::logstor) fn generation_in(bytes: &[u8; HEADER]) -> Option<u64> {
        u64_at(bytes, 8).filter(|_| bytes.starts_with(&MAGIC))
    }

    pub(in crate::logstor) fn encode(&self, hash_key: HashKey) -> [u8; HEADER] {
        let [first, second] = self.detail.words();
        let longs = [self.generation, self.append_seqno, self.settled];
        let words = [
            self.part,
            self.parts,
            first,
            second,
            self.payload_bytes,
            self.payload_crc,
            self.segment,
        ];
        const {
            assert!(CHECKED == MAGIC.len() + 4 + 3 * size_of::<u64>() + 7 * size_of::<u32>());
        }
        let mut checked = [0; CHECKED];
        let mut rest = put(&mut checked, &MAGIC);
        rest = put(rest, &[self.kind.code(), VERSION, 0, 0]);
        for field in longs {
            rest = put(rest, &field.to_be_bytes());
        }
        for field in words {
            rest = put(rest, &field.to_be_bytes());
        }
        let crc = keyed_crc(hash_key, &checked);
        let mut bytes = [0; HEADER];
        let rest = put(&mut bytes, &checked);
        put(rest, &crc.to_be_bytes());
        bytes
    }

    /// Returns the header at the start of `bytes`, if it is sound and of this segment.
    pub(in crate::logstor) fn decode(
        bytes: &[u8],
        segment: u32,
        hash_key: HashKey,
    ) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        if !bytes.starts_with(&MAGIC) {
            return None;
        }
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if keyed_crc(hash_key, checked) != u32::from_be_bytes(*crc) {
            return None;
        }
        let u32_at = |at: usize| u32_at(bytes, at);
        let u64_at = |at: usize| u64_at(bytes, at);
        let [_, _, _, _, code, VERSION, 0, 0, ..] = *bytes else {
            return None;
        };
        let kind = FrameKind::of_code(code)?;
        let header = Self {
            kind,
            generation: u64_at(8)?,
            append_seqno: u64_at(16)?,
            settled: u64_at(24)?,
            part: u32_at(32)?,
            parts: u32_at(36)?,
            detail: FrameDetail::decode(kind, [u32_at(40)?, u32_at(44)?]),
            payload_bytes: u32_at(48)?,
            payload_crc: u32_at(52)?,
            segment: u32_at(56)?,
        };
        (header.segment == segment).then_some(header)
    }

    /// Returns the bytes from this frame's start to the next frame's.
    pub(in crate::logstor) fn frame_bytes(&self) -> u32 {
        frame_bytes(self.payload_bytes)
    }
}

/// Writes a field at the start of a header's bytes. Returns the bytes behind it.
fn put<'a>(bytes: &'a mut [u8], field: &[u8]) -> &'a mut [u8] {
    let (place, rest) = bytes.split_at_mut(field.len());
    place.copy_from_slice(field);
    rest
}

/// Returns the bytes of a frame with a payload of that length. The length may be a damaged header's:
/// a frame of the greatest length ends beyond any segment.
pub(in crate::logstor) fn frame_bytes(payload_bytes: u32) -> u32 {
    HEADER_BYTES
        .saturating_add(payload_bytes)
        .div_ceil(BLOCK_BYTES)
        .saturating_mul(BLOCK_BYTES)
}

/// Computes a keyed checksum: without the key no bytes can be crafted that have a given one.
pub(in crate::logstor) fn keyed_crc(hash_key: HashKey, bytes: &[u8]) -> u32 {
    let [first, second] = hash_key.numbers().map(u64::to_be_bytes);
    crc32c::crc32c_append(
        crc32c::crc32c_append(crc32c::crc32c(&first), bytes),
        &second,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: HashKey = HashKey::new([1, 2]);

    fn header() -> impl Strategy<Value = FrameHeader> {
        let longs = (any::<u64>(), any::<u64>(), any::<u64>());
        let words = prop::array::uniform7(any::<u32>());
        (0..FrameKind::ALL.len(), longs, words).prop_map(|(kind, longs, words)| {
            let (generation, append_seqno, settled) = longs;
            let [
                part,
                parts,
                first,
                second,
                payload_bytes,
                payload_crc,
                segment,
            ] = words;
            let kind = FrameKind::ALL[kind];
            FrameHeader {
                kind,
                generation,
                append_seqno,
                settled,
                part,
                parts,
                detail: FrameDetail::decode(kind, [first, second]),
                payload_bytes,
                payload_crc,
                segment,
            }
        })
    }

    proptest! {
        #[test]
        fn header_is_decoded_as_it_was_encoded_and_every_changed_bit_is_detected(header in header()) {
            let bytes = header.encode(KEY);
            prop_assert_eq!(FrameHeader::decode(&bytes, header.segment, KEY), Some(header));
            prop_assert_eq!(FrameHeader::decode(&bytes, header.segment ^ 1, KEY), None, "another segment's");
            prop_assert_eq!(FrameHeader::decode(&bytes, header.segment, HashKey::new([1, 3])), None, "another store's");
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes;
                damaged[bit / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(FrameHeader::decode(&damaged, header.segment, KEY), None, "bit {}", bit);
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

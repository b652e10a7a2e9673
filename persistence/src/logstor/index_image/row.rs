//! The row of a key in an image, and its bytes.
//!
//! ```text
//! fingerprint 16 | seqno u64 | segment u32 | offset u32 | len u32 | tombstone and counts u32
//! counts
//! count: segment u32 | records u32
//! ```
//!
//! Integers are big-endian. A row locates the record that wins, and counts the other records of its
//! key by segment.
//!
//! # Invariants
//!
//! Rows of a block ascend by fingerprint. No bytes make the decoder panic or take more memory than
//! a multiple of their length.

use lowtide_checkpoint::internal::Invariant;

use crate::logstor::format::{Fingerprint, Location, to_usize, u32_at, u64_at};

/// Bytes of a row without counts.
const FIXED_BYTES: usize = 40;
const COUNT_BYTES: usize = 8;
const TOMBSTONE: u32 = 1 << 31;

/// The number of other records of a key in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct CopyCount {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) records: u32,
}

/// The records of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct ImageRow {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) tombstone: bool,
    /// Other records, ascending by segment.
    pub(in crate::logstor) others: Vec<CopyCount>,
}

impl ImageRow {
    /// Appends the row's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fingerprint.to_bytes());
        out.extend_from_slice(&self.seqno.to_be_bytes());
        // More counts than that are cut off. No store has as many segments, and a key has one count
        // for each.
        let counts = u32::try_from(self.others.len())
            .ok()
            .filter(|counts| *counts < TOMBSTONE)
            .expected("L20", "a key has fewer counts than 2^31")
            .unwrap_or(TOMBSTONE - 1);
        let bits = counts | if self.tombstone { TOMBSTONE } else { 0 };
        for field in [self.at.segment, self.at.offset, self.at.len, bits] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        for count in self.others.iter().take(to_usize(counts)) {
            out.extend_from_slice(&count.segment.to_be_bytes());
            out.extend_from_slice(&count.records.to_be_bytes());
        }
    }
}

/// Decodes the rows of a block; `None` if the bytes are not rows.
pub(super) fn decode_rows(mut bytes: &[u8]) -> Option<Vec<ImageRow>> {
    let mut rows: Vec<ImageRow> = Vec::with_capacity(bytes.len() / FIXED_BYTES);
    while !bytes.is_empty() {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>()?;
        let bits = u32_at(fixed, 36)?;
        let counts = to_usize(bits & !TOMBSTONE);
        let (counts, rest) = rest.split_at_checked(counts.checked_mul(COUNT_BYTES)?)?;
        let row = ImageRow {
            fingerprint: Fingerprint::from_bytes(fixed.first_chunk()?),
            seqno: u64_at(fixed, 16)?,
            at: Location {
                segment: u32_at(fixed, 24)?,
                offset: u32_at(fixed, 28)?,
                len: u32_at(fixed, 32)?,
            },
            tombstone: bits & TOMBSTONE != 0,
            others: counts
                .chunks_exact(COUNT_BYTES)
                .map(count)
                .collect::<Option<_>>()?,
        };
        if rows
            .last()
            .is_some_and(|last| last.fingerprint >= row.fingerprint)
        {
            return None;
        }
        rows.push(row);
        bytes = rest;
    }
    Some(rows)
}

fn count(bytes: &[u8]) -> Option<CopyCount> {
    Some(CopyCount {
        segment: u32_at(bytes, 0)?,
        records: u32_at(bytes, 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowtide_checkpoint::Namespace;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<ImageRow>> {
        let count = (any::<u32>(), any::<u32>())
            .prop_map(|(segment, records)| CopyCount { segment, records });
        let row = (
            any::<u32>(),
            any::<u64>(),
            any::<[u32; 3]>(),
            any::<bool>(),
            prop::collection::vec(count, 0..3),
        );
        prop::collection::vec(row, 0..20).prop_map(|rows| {
            let rows =
                rows.into_iter()
                    .map(|(key, seqno, [segment, offset, len], tombstone, others)| {
                        let fingerprint = Fingerprint::of(
                            crate::logstor::hash_key::HashKey::new([1, 2]),
                            Namespace::Committed,
                            &key.to_be_bytes(),
                        );
                        ImageRow {
                            fingerprint,
                            seqno,
                            at: Location {
                                segment,
                                offset,
                                len,
                            },
                            tombstone,
                            others,
                        }
                    });
            let mut rows: Vec<ImageRow> = rows.collect();
            rows.sort_by_key(|row| row.fingerprint);
            rows.dedup_by_key(|row| row.fingerprint);
            rows
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_and_no_bytes_make_them_panic(rows in rows(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = Vec::new();
            rows.iter().for_each(|row| row.encode(&mut bytes));
            prop_assert_eq!(decode_rows(&bytes), Some(rows));
            let _ = decode_rows(&noise);
            bytes.extend_from_slice(&noise);
            let _ = decode_rows(&bytes);
        }
    }
}

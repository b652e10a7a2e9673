//! What an image says of one key: rows go in, blocks of bytes come out, and the other way round.
//!
//! ```text
//! fingerprint 16 | seqno u64 | segment u32 | offset u32 | len u32 | tombstone and runs u32 | runs
//! run: segment u32 | records u32
//! ```
//!
//! Big-endian. A row names the record that wins, and in which segments how many others of its key are. Always: rows of a
//! block ascend by fingerprint; no bytes make a reader panic or take more memory than they have.

use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::segment::Location;

/// Bytes of a row without runs.
const FIXED_BYTES: usize = 40;
const RUN_BYTES: usize = 8;
const TOMBSTONE: u32 = 1 << 31;

/// So many other records of a key are in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Run {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) records: u32,
}

/// A key's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Row {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) tombstone: bool,
    /// Ascending by segment, each once.
    pub(in crate::logstor) others: Vec<Run>,
}

impl Row {
    /// Appends its bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fingerprint.to_bytes());
        out.extend_from_slice(&self.seqno.to_be_bytes());
        // A key has fewer runs than there are segments, and of these there are fewer than bytes in 2^31 blocks.
        let runs = (self.others.len() as u32).min(TOMBSTONE - 1);
        let bits = runs | if self.tombstone { TOMBSTONE } else { 0 };
        for field in [self.at.segment, self.at.offset, self.at.len, bits] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        for run in self.others.iter().take(runs as usize) {
            out.extend_from_slice(&run.segment.to_be_bytes());
            out.extend_from_slice(&run.records.to_be_bytes());
        }
    }
}

/// The rows in a block's bytes; `None` if they are none.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::with_capacity(bytes.len() / FIXED_BYTES);
    while !bytes.is_empty() {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>()?;
        let u32_at = |at: usize| Some(u32::from_be_bytes(*fixed.get(at..)?.first_chunk()?));
        let bits = u32_at(36)?;
        let runs = (bits & !TOMBSTONE) as usize;
        let (runs, rest) = rest.split_at_checked(runs.checked_mul(RUN_BYTES)?)?;
        let row = Row {
            fingerprint: Fingerprint::from_bytes(fixed.first_chunk()?),
            seqno: u64::from_be_bytes(*fixed.get(16..)?.first_chunk()?),
            at: Location {
                segment: u32_at(24)?,
                offset: u32_at(28)?,
                len: u32_at(32)?,
            },
            tombstone: bits & TOMBSTONE != 0,
            others: runs
                .chunks_exact(RUN_BYTES)
                .map(run)
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

fn run(bytes: &[u8]) -> Option<Run> {
    let (segment, records) = bytes.split_first_chunk::<4>()?;
    let segment = u32::from_be_bytes(*segment);
    Some(Run {
        segment,
        records: u32::from_be_bytes(*records.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowtide_checkpoint::Namespace;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let run =
            (any::<u32>(), any::<u32>()).prop_map(|(segment, records)| Run { segment, records });
        let row = (
            any::<u32>(),
            any::<u64>(),
            any::<[u32; 3]>(),
            any::<bool>(),
            prop::collection::vec(run, 0..3),
        );
        prop::collection::vec(row, 0..20).prop_map(|rows| {
            let rows =
                rows.into_iter()
                    .map(|(key, seqno, [segment, offset, len], tombstone, others)| {
                        let fingerprint =
                            Fingerprint::of([1, 2], Namespace::Committed, &key.to_be_bytes());
                        Row {
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
            let mut rows: Vec<Row> = rows.collect();
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
            prop_assert_eq!(decode(&bytes), Some(rows));
            let _ = decode(&noise);
            bytes.extend_from_slice(&noise);
            let _ = decode(&bytes);
        }
    }
}

//! The merge of an image's rows with the records appended since: one row for each key.
//!
//! # Invariants (L20)
//!
//! The result is that of a scan of everything. A key's row locates the record on disk with the
//! highest seqno, of copies the one written last, and counts all others by segment. It does not
//! matter whether a record is known from the image or was scanned. Records in segments whose
//! covered use is over are gone.

use std::iter::Peekable;

use super::row::{CopyCount, ImageRow};
use crate::logstor::log::ScannedRecord;

/// The merged rows of a vBucket. `old` ascends by fingerprint, `scanned` is sorted by
/// [`sort_for_merge`], and its appends are later than those of `old`.
#[derive(Debug)]
pub(in crate::logstor) struct RowMerge<'a, I: Iterator<Item = ImageRow>, F: Fn(u32) -> bool> {
    old: Peekable<I>,
    scanned: &'a [ScannedRecord],
    /// Returns whether the use of a segment that the image covers goes on.
    is_current: F,
}

/// The image contradicts the log: it locates no existing record of a key that has others, or has
/// more than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct ImageMismatch;

/// Sorts records for a merge.
pub(in crate::logstor) fn sort_for_merge(scanned: &mut [ScannedRecord]) {
    scanned.sort_unstable_by_key(|item| (item.fingerprint, item.seqno, item.append_seqno));
}

impl<'a, I: Iterator<Item = ImageRow>, F: Fn(u32) -> bool> RowMerge<'a, I, F> {
    pub(in crate::logstor) fn new(
        old: impl IntoIterator<IntoIter = I, Item = ImageRow>,
        scanned: &'a [ScannedRecord],
        is_current: F,
    ) -> Self {
        Self {
            old: old.into_iter().peekable(),
            scanned,
            is_current,
        }
    }
}

impl<I: Iterator<Item = ImageRow>, F: Fn(u32) -> bool> Iterator for RowMerge<'_, I, F> {
    type Item = Result<ImageRow, ImageMismatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let scanned = self.scanned.first().map(|item| item.fingerprint);
            let is_next = |row: &ImageRow| scanned.is_none_or(|scanned| row.fingerprint <= scanned);
            let old = self.old.next_if(is_next);
            let fingerprint = old.as_ref().map(|row| row.fingerprint).or(scanned)?;
            let count = self
                .scanned
                .iter()
                .take_while(|item| item.fingerprint == fingerprint)
                .count();
            let (of_key, rest) = self.scanned.split_at(count);
            self.scanned = rest;
            let mut fold = KeyFold::of(old, &self.is_current);
            let added = of_key.iter().try_for_each(|record| fold.add(record));
            match added.and_then(|()| fold.finish()) {
                // All its records are gone.
                Ok(None) => {}
                Ok(Some(row)) => return Some(Ok(row)),
                Err(untrue) => return Some(Err(untrue)),
            }
        }
    }
}

/// Counts of a key that are collected before they are summed. Unit tests have few, and sum them often.
const COUNTS: usize = if cfg!(test) { 3 } else { 1024 };

/// The records of one key, folded into its row: memory for the segments that have some, however many
/// they are.
#[derive(Debug)]
pub(super) struct KeyFold {
    winner: Option<ImageRow>,
    others: Vec<CopyCount>,
    /// Whether `others` has each segment once, ascending.
    is_summed: bool,
    sum_at: usize,
}

impl KeyFold {
    /// Begins with the row of the last image, if it has one.
    pub(super) fn of(old: Option<ImageRow>, is_current: impl Fn(u32) -> bool) -> Self {
        let mut others = Vec::new();
        let mut winner = None;
        if let Some(mut old) = old {
            others = std::mem::take(&mut old.others);
            others.retain(|run| is_current(run.segment));
            winner = Some(old).filter(|old| is_current(old.at.segment));
        }
        Self {
            winner,
            others,
            is_summed: true,
            sum_at: COUNTS,
        }
    }

    /// Adds a record, which was appended later than what is there.
    pub(super) fn add(&mut self, record: &ScannedRecord) -> Result<(), ImageMismatch> {
        // Of equal seqnos the scanned record is later.
        let winner = self.winner.as_ref();
        let wins = winner.is_none_or(|winner| winner.seqno <= record.seqno);
        let loser = if wins {
            winner.map(|winner| winner.at.segment)
        } else {
            Some(record.at.segment)
        };
        if let Some(segment) = loser {
            self.others.push(CopyCount {
                segment,
                records: 1,
            });
            self.is_summed = false;
        }
        if wins {
            let ScannedRecord {
                fingerprint,
                seqno,
                at,
                tombstone,
                ..
            } = *record;
            self.winner = Some(ImageRow {
                fingerprint,
                seqno,
                at,
                tombstone,
                others: Vec::new(),
            });
        }
        if self.others.len() >= self.sum_at {
            self.sum()?;
            self.sum_at = COUNTS.max(2 * self.others.len());
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<(), ImageMismatch> {
        if std::mem::replace(&mut self.is_summed, true) {
            return Ok(());
        }
        self.others.sort_unstable_by_key(|run| run.segment);
        // If too few were counted, a tombstone could be removed too early.
        let mut are_counted = true;
        self.others.dedup_by(|run, before| {
            let joins = run.segment == before.segment;
            if joins {
                match before.records.checked_add(run.records) {
                    Some(records) => before.records = records,
                    None => are_counted = false,
                }
            }
            joins
        });
        if are_counted {
            Ok(())
        } else {
            Err(ImageMismatch)
        }
    }

    /// Returns the row; `None` if all records of the key are gone.
    pub(super) fn finish(mut self) -> Result<Option<ImageRow>, ImageMismatch> {
        self.sum()?;
        match self.winner {
            Some(winner) => Ok(Some(ImageRow {
                others: self.others,
                ..winner
            })),
            None if self.others.is_empty() => Ok(None),
            None => Err(ImageMismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logstor::format::{Fingerprint, Location};

    #[test]
    fn records_of_one_key_are_counted_exactly_in_bounded_memory() {
        let record = |n: u32| ScannedRecord {
            epoch: 1,
            fingerprint: Fingerprint::MIN,
            // Copies of each revision, in any order of segments.
            seqno: u64::from(n / 2),
            at: Location {
                segment: n * 7 % 5,
                offset: n,
                len: 1,
            },
            tombstone: false,
            collection: None,
            append_seqno: n.into(),
        };
        let old = ImageRow {
            fingerprint: Fingerprint::MIN,
            seqno: 0,
            at: Location {
                segment: 2,
                offset: 9,
                len: 1,
            },
            tombstone: true,
            others: [2, 3]
                .map(|segment| CopyCount {
                    segment,
                    records: 4,
                })
                .into(),
        };
        // Segment 3 is another use now.
        let mut fold = KeyFold::of(Some(old), |segment| segment != 3);
        for n in 0..1000 {
            fold.add(&record(n)).expect("counted");
            assert!(fold.others.len() <= 2 * 5 + COUNTS, "{}", fold.others.len());
        }
        let row = fold.finish().expect("counted").expect("one wins");
        assert_eq!(row.at, record(999).at, "the copy that was written last");
        // 200 in each; five from before, and the winner is not among the others.
        let expected = [200, 200, 205, 199, 200];
        let found: Vec<_> = row
            .others
            .iter()
            .map(|run| (run.segment, run.records))
            .collect();
        assert_eq!(found, (0..).zip(expected).collect::<Vec<_>>());
    }
}

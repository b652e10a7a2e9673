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
            match row(old, of_key, &self.is_current) {
                // All its records are gone.
                Ok(None) => {}
                Ok(Some(row)) => return Some(Ok(row)),
                Err(untrue) => return Some(Err(untrue)),
            }
        }
    }
}

fn row(
    old: Option<ImageRow>,
    scanned: &[ScannedRecord],
    is_current: impl Fn(u32) -> bool,
) -> Result<Option<ImageRow>, ImageMismatch> {
    let mut others = Vec::new();
    let mut winner: Option<ImageRow> = None;
    if let Some(mut old) = old {
        others = std::mem::take(&mut old.others);
        others.retain(|run| is_current(run.segment));
        winner = Some(old).filter(|old| is_current(old.at.segment));
    }
    for item in scanned {
        // Of equal seqnos the scanned record is later.
        let wins = winner
            .as_ref()
            .is_none_or(|winner| winner.seqno <= item.seqno);
        let loser = if wins {
            winner.as_ref().map(|winner| winner.at.segment)
        } else {
            Some(item.at.segment)
        };
        others.extend(loser.map(|segment| CopyCount {
            segment,
            records: 1,
        }));
        if wins {
            let ScannedRecord {
                fingerprint,
                seqno,
                at,
                tombstone,
                ..
            } = *item;
            winner = Some(ImageRow {
                fingerprint,
                seqno,
                at,
                tombstone,
                others: Vec::new(),
            });
        }
    }
    let Some(mut row) = winner else {
        return if others.is_empty() {
            Ok(None)
        } else {
            Err(ImageMismatch)
        };
    };
    if !scanned.is_empty() {
        others.sort_unstable_by_key(|run| run.segment);
        // If too few were counted, a tombstone could be removed too early.
        let mut are_counted = true;
        others.dedup_by(|run, before| {
            let joins = run.segment == before.segment;
            if joins {
                match before.records.checked_add(run.records) {
                    Some(records) => before.records = records,
                    None => are_counted = false,
                }
            }
            joins
        });
        if !are_counted {
            return Err(ImageMismatch);
        }
    }
    row.others = others;
    Ok(Some(row))
}

//! What a scan of everything would find, from less: the rows of an image and the records found since go in, a row for
//! each key comes out.
//!
//! Always (L20): a key's row names, of the records that are on the disk, the one with the highest seqno, of copies the one
//! that was written last; and counts all others, segment by segment. That is what it comes to whether a record is known
//! from the image or was found. A row's records in segments that are not what they were are gone.

use std::iter::Peekable;

use crate::logstor::found::FoundItem;

use super::rows::{Row, Run};

/// The rows of a vBucket. `old` ascends by fingerprint, `found` as [`sort`] has it, and its appends are later than those
/// of `old`.
#[derive(Debug)]
pub(in crate::logstor) struct Merge<'a, I: Iterator<Item = Row>, F: Fn(u32) -> bool> {
    old: Peekable<I>,
    found: &'a [FoundItem],
    /// Whether a segment is still what it was when the image was made.
    is_current: F,
}

/// The image does not say what it must: it names no record that is there, though others of its key are, or more of them than
/// can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Untrue;

/// The order a merge wants.
pub(in crate::logstor) fn sort(found: &mut [FoundItem]) {
    found.sort_unstable_by_key(|item| (item.fingerprint, item.seqno, item.number));
}

impl<'a, I: Iterator<Item = Row>, F: Fn(u32) -> bool> Merge<'a, I, F> {
    pub(in crate::logstor) fn new(
        old: impl IntoIterator<IntoIter = I, Item = Row>,
        found: &'a [FoundItem],
        is_current: F,
    ) -> Self {
        Self {
            old: old.into_iter().peekable(),
            found,
            is_current,
        }
    }
}

impl<I: Iterator<Item = Row>, F: Fn(u32) -> bool> Iterator for Merge<'_, I, F> {
    type Item = Result<Row, Untrue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = self.found.first().map(|item| item.fingerprint);
            let is_next = |row: &Row| found.is_none_or(|found| row.fingerprint <= found);
            let old = self.old.next_if(is_next);
            let fingerprint = old.as_ref().map(|row| row.fingerprint).or(found)?;
            let count = self
                .found
                .iter()
                .take_while(|item| item.fingerprint == fingerprint)
                .count();
            let (of_key, rest) = self.found.split_at(count);
            self.found = rest;
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
    old: Option<Row>,
    found: &[FoundItem],
    is_current: impl Fn(u32) -> bool,
) -> Result<Option<Row>, Untrue> {
    let mut others = Vec::new();
    let mut winner: Option<Row> = None;
    if let Some(mut old) = old {
        others = std::mem::take(&mut old.others);
        others.retain(|run| is_current(run.segment));
        winner = Some(old).filter(|old| is_current(old.at.segment));
    }
    for item in found {
        // Of equal seqnos what was found is later.
        let wins = winner
            .as_ref()
            .is_none_or(|winner| winner.seqno <= item.seqno);
        let loser = if wins {
            winner.as_ref().map(|winner| winner.at.segment)
        } else {
            Some(item.at.segment)
        };
        others.extend(loser.map(|segment| Run {
            segment,
            records: 1,
        }));
        if wins {
            let FoundItem {
                fingerprint,
                seqno,
                at,
                tombstone,
                ..
            } = *item;
            winner = Some(Row {
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
            Err(Untrue)
        };
    };
    if !found.is_empty() {
        others.sort_unstable_by_key(|run| run.segment);
        // Fewer than there are, and a tombstone could be given up too early.
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
            return Err(Untrue);
        }
    }
    row.others = others;
    Ok(Some(row))
}

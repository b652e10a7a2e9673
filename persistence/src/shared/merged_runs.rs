//! The merge of sorted runs: the lowest row of all runs, again and again.
//!
//! couchstore's compaction and logstor's index images sort more rows than memory may hold. Each writes
//! sorted runs in its own format, and merges them here.
//!
//! # Invariants
//!
//! Rows come out ascending, each once. Of equal rows that of the earlier run comes first. Memory is one
//! row of each run, and what the runs hold themselves.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;

use crate::contract::EngineError;

/// Rows in order, in memory or in a file.
pub(crate) trait SortedRun {
    /// A row.
    type Row;

    /// Returns the next row.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn next(&mut self) -> Result<Option<Self::Row>, EngineError>;

    /// Returns the order of two rows.
    fn compare(one: &Self::Row, other: &Self::Row) -> Ordering;
}

/// Rows of several runs, in order.
pub(crate) struct MergedRuns<R: SortedRun> {
    /// Runs that have a row left.
    heads: BinaryHeap<Reverse<Head<R>>>,
}

/// The first row of a run, and the rest of the run.
struct Head<R: SortedRun> {
    row: R::Row,
    /// Number of the run.
    number: usize,
    rest: R,
}

impl<R: SortedRun> Ord for Head<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        R::compare(&self.row, &other.row).then(self.number.cmp(&other.number))
    }
}

impl<R: SortedRun> PartialOrd for Head<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: SortedRun> PartialEq for Head<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: SortedRun> Eq for Head<R> {}

impl<R: SortedRun> fmt::Debug for MergedRuns<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedRuns")
            .field("runs", &self.heads.len())
            .finish_non_exhaustive()
    }
}

impl<R: SortedRun> MergedRuns<R> {
    /// Begins to merge runs: reads the first row of each.
    ///
    /// # Errors
    /// Those of [`SortedRun::next`].
    pub(crate) fn of(runs: impl IntoIterator<Item = R>) -> Result<Self, EngineError> {
        let mut heads = BinaryHeap::new();
        for (number, mut rest) in runs.into_iter().enumerate() {
            if let Some(row) = rest.next()? {
                heads.push(Reverse(Head { row, number, rest }));
            }
        }
        Ok(Self { heads })
    }

    /// Returns the next row without taking it.
    pub(crate) fn peek(&self) -> Option<&R::Row> {
        self.heads.peek().map(|head| &head.0.row)
    }

    /// Takes the next row: O(log runs).
    ///
    /// # Errors
    /// Those of [`SortedRun::next`].
    pub(crate) fn next(&mut self) -> Result<Option<R::Row>, EngineError> {
        let Some(mut head) = self.heads.peek_mut() else {
            return Ok(None);
        };
        Ok(Some(match head.0.rest.next()? {
            Some(row) => std::mem::replace(&mut head.0.row, row),
            None => PeekMut::pop(head).0.row,
        }))
    }

    /// Returns what is left of each run: its next row, and the run behind that.
    pub(crate) fn into_rests(self) -> impl Iterator<Item = (R::Row, R)> {
        let heads = self.heads.into_iter();
        heads.map(|Reverse(Head { row, rest, .. })| (row, rest))
    }
}

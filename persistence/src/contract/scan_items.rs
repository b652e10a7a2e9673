//! Scans as iterators: the items of a snapshot one at a time, read in slices underneath.
//!
//! # Invariants
//!
//! - An iterator yields what the slices hold, in their order, each item once (E9).
//! - After an error it yields nothing more: the rest of the range is unknown.
//! - It holds at most one slice, of about 1 MiB.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};
use std::vec;

use lowtide_checkpoint::{Item, Seqno};

use super::error::EngineError;
use super::scan::{KeyRange, KeySlice, ScanLimit, ScanSlice};
use super::snapshot::{READ_TOGETHER, Snapshot};

impl dyn Snapshot + '_ {
    /// Returns the newest revision of each key whose seqno is in a range, ascending by seqno,
    /// tombstones included. [`Snapshot::scan`] reads them by the slice.
    ///
    /// ```
    /// # use lowtide_persistence::{EngineError, Snapshot};
    /// use lowtide_checkpoint::Seqno;
    ///
    /// fn deletions_after(snapshot: &dyn Snapshot, seqno: Seqno) -> Result<usize, EngineError> {
    ///     let mut deletions = 0;
    ///     for item in snapshot.items(seqno.next()..) {
    ///         deletions += usize::from(item?.deleted);
    ///     }
    ///     Ok(deletions)
    /// }
    /// ```
    pub fn items(&self, range: impl RangeBounds<Seqno>) -> SeqnoItems<'_> {
        SeqnoItems::new(self, range, READ_TOGETHER)
    }

    /// Returns the newest revision of each key of a range, ascending by key, tombstones included.
    /// [`Snapshot::scan_keys`] reads them by the slice.
    ///
    /// ```
    /// # use lowtide_persistence::{EngineError, KeyRange, Snapshot};
    /// use lowtide_checkpoint::Namespace;
    ///
    /// fn keys(snapshot: &dyn Snapshot) -> Result<Vec<Vec<u8>>, EngineError> {
    ///     snapshot
    ///         .items_by_key(KeyRange::all(Namespace::Committed))
    ///         .map(|item| Ok(item?.key.encoded().to_vec()))
    ///         .collect()
    /// }
    /// ```
    pub fn items_by_key(&self, range: KeyRange) -> KeyItems<'_> {
        KeyItems::new(self, range, READ_TOGETHER)
    }
}

/// The items of a scan by seqno. [`Snapshot`]'s `items` returns it.
#[must_use = "an iterator reads nothing until it is used"]
pub struct SeqnoItems<'a> {
    snapshot: &'a dyn Snapshot,
    limit: ScanLimit,
    slice: vec::IntoIter<Item>,
    /// The start of the next slice; `None` at the end.
    next: Option<Seqno>,
    to: Seqno,
}

impl<'a> SeqnoItems<'a> {
    fn new(
        snapshot: &'a (dyn Snapshot + 'a),
        range: impl RangeBounds<Seqno>,
        limit: ScanLimit,
    ) -> Self {
        let from = match range.start_bound() {
            Bound::Included(&from) => Some(from),
            Bound::Excluded(below) => below.0.checked_add(1).map(Seqno),
            Bound::Unbounded => Some(Seqno::ZERO),
        };
        let to = match range.end_bound() {
            Bound::Included(&to) => Some(to),
            Bound::Excluded(above) => above.0.checked_sub(1).map(Seqno),
            Bound::Unbounded => Some(Seqno::MAX),
        };
        Self {
            snapshot,
            limit,
            slice: Vec::new().into_iter(),
            // An empty range has no start.
            next: from.filter(|&from| to.is_some_and(|to| from <= to)),
            to: to.unwrap_or(Seqno::ZERO),
        }
    }
}

impl Iterator for SeqnoItems<'_> {
    type Item = Result<Item, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.slice.next() {
                return Some(Ok(item));
            }
            let from = self.next.take()?;
            match self.snapshot.scan(from, self.to, self.limit) {
                Ok(ScanSlice { items, next }) => {
                    self.slice = items.into_iter();
                    self.next = next;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl FusedIterator for SeqnoItems<'_> {}

impl fmt::Debug for SeqnoItems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqnoItems")
            .field("snapshot", &self.snapshot)
            .field("next", &self.next)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// The items of a scan by key. [`Snapshot`]'s `items_by_key` returns it.
#[must_use = "an iterator reads nothing until it is used"]
pub struct KeyItems<'a> {
    snapshot: &'a dyn Snapshot,
    limit: ScanLimit,
    slice: vec::IntoIter<Item>,
    /// The rest of the range, from the start of the next slice; `None` at the end.
    rest: Option<KeyRange>,
}

impl<'a> KeyItems<'a> {
    fn new(snapshot: &'a (dyn Snapshot + 'a), range: KeyRange, limit: ScanLimit) -> Self {
        Self {
            snapshot,
            limit,
            slice: Vec::new().into_iter(),
            rest: Some(range),
        }
    }
}

impl Iterator for KeyItems<'_> {
    type Item = Result<Item, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.slice.next() {
                return Some(Ok(item));
            }
            let range = self.rest.take()?;
            match self.snapshot.scan_keys(&range, self.limit) {
                Ok(KeySlice { items, next }) => {
                    self.slice = items.into_iter();
                    self.rest = next.map(|from| KeyRange { from, ..range });
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl FusedIterator for KeyItems<'_> {}

impl fmt::Debug for KeyItems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyItems")
            .field("snapshot", &self.snapshot)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

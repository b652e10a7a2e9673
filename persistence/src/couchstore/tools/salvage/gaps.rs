//! Gaps: ranges of seqnos below nodes that cannot be read, and the number of their rows that were
//! found elsewhere.

use lowtide_checkpoint::Seqno;

use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{Reduction, by_seqno};
use crate::couchstore::tools::surveyor::LostRows;

/// One gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: Seqno,
    pub(crate) last: Seqno,
    /// Position that the pointer leads to.
    pub(crate) position: u64,
    /// Number of rows below the pointer, if it is known.
    pub(crate) rows: Option<u64>,
    pub(crate) found: u64,
    pub(crate) what: String,
}

/// All gaps, ascending and disjoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps(Vec<Gap>);

impl Gaps {
    /// Adds the rows below a pointer of the by-seqno tree.
    pub(crate) fn add(&mut self, lost: &LostRows, position: u64, what: String) {
        let seqno = |key: &Option<bytes::Bytes>| key.as_deref().and_then(by_seqno::seqno);
        let before = self.0.last().map_or(Seqno::ZERO, |gap| gap.last);
        let first = seqno(&lost.after).unwrap_or_default().max(before).next();
        let last = seqno(&lost.last).unwrap_or(Seqno(U48_MAX)).max(first);
        let rows = match lost.reduction {
            Some(Reduction::Rows(rows)) => Some(rows),
            _ => None,
        };
        self.0.push(Gap {
            first,
            last,
            position,
            rows,
            found: 0,
            what,
        });
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the gap that contains a seqno.
    pub(crate) fn of(&mut self, seqno: Seqno) -> Option<&mut Gap> {
        let index = self.0.partition_point(|gap| gap.last < seqno);
        self.0.get_mut(index).filter(|gap| gap.first <= seqno)
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = Gap> {
        self.0.into_iter()
    }
}

//! The seqnos whose rows lie below nodes that can't be read, and how many of those rows turned up elsewhere.

use lowtide_checkpoint::Seqno;

use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{Reduction, by_seqno};
use crate::couchstore::survey::Lost;

/// One such range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) first: Seqno,
    pub(super) last: Seqno,
    /// Where the pointer leads that can't be followed.
    pub(super) position: u64,
    /// How many rows its pointer tells of; `None` if that can't be told either.
    pub(super) rows: Option<u64>,
    pub(super) found: u64,
    pub(super) what: String,
}

/// All of them, ascending and apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps(Vec<Gap>);

impl Gaps {
    /// Adds the rows below a pointer of the by-seqno tree.
    pub(super) fn add(&mut self, lost: &Lost, position: u64, what: String) {
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

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The gap a seqno lies in.
    pub(super) fn of(&mut self, seqno: Seqno) -> Option<&mut Gap> {
        let index = self.0.partition_point(|gap| gap.last < seqno);
        self.0.get_mut(index).filter(|gap| gap.first <= seqno)
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Gap> {
        self.0.into_iter()
    }
}

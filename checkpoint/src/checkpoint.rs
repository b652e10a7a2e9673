//! One checkpoint: a run of the queue inside which de-duplication happens and which readers take as a whole.
//!
//! It knows its positions, its snapshot range and what it holds; the items are in the queue. What always holds: a
//! closed checkpoint's positions, range and id never change, but for what is expelled from its front.

use crate::queue::Totals;
use crate::{Seqno, SnapshotMarker, SnapshotRange, SnapshotType};

/// Where a checkpoint's range comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// On an active: from the seqno after the last one before it to its last operation.
    Assigned {
        /// The last operation in it; `None` while it has none.
        last: Option<Seqno>,
        /// The highest visible seqno so far, which may lie in an earlier checkpoint.
        visible: Seqno,
    },
    /// On a replica: what the marker said, whole, also when half received.
    Received(SnapshotMarker),
}

#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) id: u64,
    pub(crate) open: bool,
    pub(crate) range: Range,
    /// The last seqno before it, whoever was its owner.
    pub(crate) before: Seqno,
    /// The dummy: everything up to this seqno is gone or was never here.
    pub(crate) dummy: Seqno,
    /// Position of its first item, expelled or not.
    pub(crate) first: u64,
    /// Its resident, live items.
    pub(crate) live: Totals,
}

impl Checkpoint {
    pub(crate) fn assigned(id: u64, before: Seqno, visible: Seqno, first: u64) -> Self {
        Self::new(id, before, first, Range::Assigned { last: None, visible })
    }

    pub(crate) fn received(id: u64, before: Seqno, first: u64, marker: SnapshotMarker) -> Self {
        Self::new(id, before, first, Range::Received(marker))
    }

    fn new(id: u64, before: Seqno, first: u64, range: Range) -> Self {
        Self { id, open: true, range, before, dummy: before, first, live: Totals::default() }
    }

    pub(crate) fn snapshot_type(&self) -> SnapshotType {
        match self.range {
            Range::Assigned { .. } => SnapshotType::Memory,
            Range::Received(marker) => marker.snapshot_type,
        }
    }

    /// Whether a batch may hold both its items and those of `next`.
    pub(crate) fn may_share_batch_with(&self, next: &Self) -> bool {
        let history =
            |checkpoint: &Self| matches!(checkpoint.range, Range::Received(marker) if marker.history);
        !self.snapshot_type().is_disk() && !next.snapshot_type().is_disk() && history(self) == history(next)
    }

    /// Its range as it is now.
    pub(crate) fn snapshot_range(&self) -> SnapshotRange {
        match self.range {
            Range::Assigned { last, visible } => SnapshotRange {
                start: last.map_or(self.before, |_| self.before.next()),
                end: last.unwrap_or(self.before),
                visible,
                snapshot_type: SnapshotType::Memory,
                history: false,
                high_completed_seqno: None,
                high_prepared_seqno: None,
            },
            Range::Received(marker) => SnapshotRange {
                start: marker.start,
                end: marker.end,
                visible: marker.visible.unwrap_or(marker.end),
                snapshot_type: marker.snapshot_type,
                history: marker.history,
                high_completed_seqno: marker.high_completed_seqno,
                high_prepared_seqno: marker.high_prepared_seqno,
            },
        }
    }

    /// Takes note of an operation with a seqno of its own.
    pub(crate) fn extend_to(&mut self, seqno: Seqno, is_visible: bool) {
        if let Range::Assigned { last, visible } = &mut self.range {
            *last = Some(seqno);
            if is_visible {
                *visible = seqno;
            }
        }
    }
}

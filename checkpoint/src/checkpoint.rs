//! One checkpoint: a run of the queue inside which de-duplication happens and which readers take as a whole.
//!
//! It knows its positions, its snapshot range and what it holds; the items are in the queue. What always holds: a
//! closed checkpoint's positions, range and id never change, but for what is expelled from its front.

use crate::queue::Totals;
use crate::{Item, Operation, Seqno, SnapshotMarker, SnapshotRange, SnapshotType};

/// Where a checkpoint's range comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// On an active: from the seqno after the last one before it to its last operation.
    Assigned {
        /// The highest visible seqno so far, which may lie in an earlier checkpoint.
        visible: Seqno,
    },
    /// On a replica: what the marker said, whole, also when half received.
    Received(SnapshotMarker),
}

/// How far durable writes have come: neither figure ever falls, and each checkpoint goes on from the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    /// The highest prepare that was committed or aborted; `None` if there was none yet.
    completed: Option<Seqno>,
    /// The highest prepare.
    prepared: Option<Seqno>,
}

impl Durable {
    fn take_note(&mut self, item: &Item, seqno: Seqno, is_disk: bool) {
        match item.operation {
            Operation::Prepare => self.prepared = self.prepared.max(Some(seqno)),
            // 0 is no prepare: whoever queued it did not say which one it ends. What a snapshot from disk has completed
            // says its marker.
            Operation::Commit | Operation::Abort if item.prepare_seqno != Seqno::ZERO && !is_disk => {
                self.completed = self.completed.max(Some(item.prepare_seqno));
            }
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
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
    /// The last operation in it; `None` while it has had none.
    last: Option<Seqno>,
    /// As of its last item.
    pub(crate) durable: Durable,
    /// Its resident, live items.
    pub(crate) live: Totals,
}

impl Checkpoint {
    pub(crate) fn assigned(id: u64, before: Seqno, visible: Seqno, first: u64) -> Self {
        Self::new(id, before, first, Range::Assigned { visible })
    }

    pub(crate) fn received(id: u64, before: Seqno, first: u64, marker: SnapshotMarker) -> Self {
        Self::new(id, before, first, Range::Received(marker))
    }

    fn new(id: u64, before: Seqno, first: u64, range: Range) -> Self {
        Self {
            id,
            open: true,
            range,
            before,
            dummy: before,
            first,
            last: None,
            durable: Durable::default(),
            live: Totals::default(),
        }
    }

    /// The same, going on from where `before` has come to. What a marker said of a snapshot is true once all of it is here.
    pub(crate) fn after(self, before: &Self) -> Self {
        let range = before.snapshot_range();
        let durable = if range.last == Some(range.end) {
            let completed = before.durable.completed.max(range.high_completed_seqno);
            Durable { completed, prepared: range.high_prepared_seqno }
        } else {
            before.durable
        };
        Self { durable, ..self }
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
            Range::Assigned { visible } => SnapshotRange {
                start: self.last.map_or(self.before, |_| self.before.next()),
                end: self.last.unwrap_or(self.before),
                visible,
                snapshot_type: SnapshotType::Memory,
                history: false,
                high_completed_seqno: self.durable.completed,
                high_prepared_seqno: self.durable.prepared,
                purge_seqno: None,
                last: self.last,
            },
            Range::Received(marker) => SnapshotRange {
                start: marker.start,
                end: marker.end,
                visible: marker.visible.unwrap_or(marker.end),
                snapshot_type: marker.snapshot_type,
                history: marker.history,
                high_completed_seqno: match marker.snapshot_type {
                    SnapshotType::Memory => marker.high_completed_seqno.max(self.durable.completed),
                    // Its items need not hold every commit and abort up to its end; its marker does.
                    SnapshotType::Disk | SnapshotType::InitialDisk => marker.high_completed_seqno,
                },
                high_prepared_seqno: marker.high_prepared_seqno.max(self.durable.prepared),
                purge_seqno: marker.purge_seqno,
                last: self.last,
            },
        }
    }

    /// Takes note of a part of a durable write, which has that seqno.
    pub(crate) fn take_note(&mut self, item: &Item, seqno: Seqno) {
        self.durable.take_note(item, seqno, self.snapshot_type().is_disk());
    }

    /// Takes note of an operation with a seqno of its own.
    pub(crate) fn extend_to(&mut self, seqno: Seqno, is_visible: bool) {
        self.last = Some(seqno);
        if let (Range::Assigned { visible }, true) = (&mut self.range, is_visible) {
            *visible = seqno;
        }
    }
}

//! One checkpoint: a run of the queue that is the scope of de-duplication and the unit of reading.
//!
//! A checkpoint knows its positions, its snapshot range and its totals. The items are in the queue.
//!
//! # Invariants
//! - The id and positions of a closed checkpoint never change, except that its front is expelled.
//! - The range of a closed checkpoint changes only if it lacks the end of its snapshot: the snapshot
//!   is extended, the next one completes it, or it is truncated to what is there.

use crate::model::{Item, Operation, Seqno, SnapshotMarker, SnapshotRange, SnapshotType};
use crate::queue::Totals;

/// The source of a checkpoint's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// On an active: from the seqno after the previous checkpoint to the last operation.
    Assigned {
        /// Highest visible seqno so far, which may lie in an earlier checkpoint.
        visible: Seqno,
    },
    /// On a replica: the whole range of the marker, also while partially received.
    Received(SnapshotMarker),
}

/// The progress of durable writes. Neither figure ever falls, and each checkpoint continues from
/// the previous one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Durable {
    /// Highest prepare that was committed or aborted; `None` if there was none yet.
    completed: Option<Seqno>,
    /// Highest prepare.
    prepared: Option<Seqno>,
}

impl Durable {
    fn record(&mut self, item: &Item, seqno: Seqno, is_disk: bool) {
        match item.operation {
            Operation::Prepare => self.prepared = self.prepared.max(Some(seqno)),
            // 0 names no prepare: the caller did not say which one the item completes. A snapshot
            // from disk has its completed seqno in the marker instead.
            Operation::Commit | Operation::Abort
                if item.prepare_seqno != Seqno::ZERO && !is_disk =>
            {
                self.completed = self.completed.max(Some(item.prepare_seqno));
            }
            _ => {}
        }
    }
}

/// A run of the queue, and everything about it except the items.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) id: u64,
    /// Name of the snapshot: the id of the first checkpoint that has a part of it.
    pub(super) snapshot_id: u64,
    pub(super) open: bool,
    pub(super) range: Range,
    /// Whether all of it came from disk, with each key once. A flush may then end inside it.
    pub(super) may_split: bool,
    /// Last seqno before the checkpoint, in whatever role it was queued.
    before: Seqno,
    /// The dummy: everything up to this seqno was expelled, or never was in the checkpoint.
    pub(super) dummy: Seqno,
    /// Position of the first item, expelled or not.
    pub(super) first: u64,
    /// Last operation in the checkpoint; `None` while it has had none.
    last: Option<Seqno>,
    /// End of the snapshot before it was extended.
    extended_from: Option<Seqno>,
    /// Progress of durable writes as of the last item.
    durable: Durable,
    /// Resident, live items.
    pub(super) live: Totals,
}

impl Checkpoint {
    /// Creates the open checkpoint of an active, after the seqno `before`.
    pub(super) fn assigned(id: u64, before: Seqno, visible: Seqno, first: u64) -> Self {
        Self::new(id, before, first, Range::Assigned { visible })
    }

    /// Creates the open checkpoint of a replica for the snapshot of `marker`.
    pub(super) fn received(id: u64, before: Seqno, first: u64, marker: SnapshotMarker) -> Self {
        Self {
            may_split: marker.snapshot_type.is_disk(),
            ..Self::new(id, before, first, Range::Received(marker))
        }
    }

    /// Makes the checkpoint a further part of an earlier checkpoint's snapshot.
    pub(super) fn in_snapshot(self, snapshot_id: u64) -> Self {
        Self {
            snapshot_id,
            ..self
        }
    }

    fn new(id: u64, before: Seqno, first: u64, range: Range) -> Self {
        Self {
            id,
            snapshot_id: id,
            open: true,
            range,
            may_split: false,
            before,
            dummy: before,
            first,
            last: None,
            extended_from: None,
            durable: Durable::default(),
            live: Totals::default(),
        }
    }

    /// Truncates a partially received snapshot at `high`, because the rest will never come.
    ///
    /// The marker's figures about the whole snapshot are dropped: durable writes have ended up to
    /// `completed`, or further in the checkpoints before. Its purge seqno counts as far as the snapshot
    /// now reaches.
    pub(super) fn truncate_at(&mut self, high: Seqno, completed: Seqno) {
        if let Range::Received(marker) = &mut self.range
            && marker.start <= high
            && high < marker.end
        {
            let completed = self.durable.completed.unwrap_or_default().max(completed);
            *marker = SnapshotMarker {
                end: high,
                visible: marker.visible.map(|visible| visible.min(high)),
                high_completed_seqno: marker.snapshot_type.is_disk().then_some(completed),
                high_prepared_seqno: None,
                purge_seqno: marker.purge_seqno.map(|purged| purged.min(high)),
                ..*marker
            };
        }
    }

    /// Completes a snapshot received up to `high` with the snapshot `next`, if that begins inside
    /// it: `next` then brings the missing part.
    pub(super) fn complete_with(&mut self, next: &SnapshotMarker, high: Seqno) {
        if let Range::Received(marker) = self.range
            && high < marker.end.min(next.end)
            && next.start <= marker.end
        {
            self.move_end_to(next);
        }
    }

    /// Returns whether the checkpoint has a part of the snapshot that ends at `end`, without its
    /// end.
    pub(super) fn is_partial_of(&self, end: Seqno) -> bool {
        matches!(self.range, Range::Received(marker) if marker.end == end) && self.last < Some(end)
    }

    /// Moves the end of the range to the end of `next`. The result is from disk if either snapshot
    /// is.
    pub(super) fn move_end_to(&mut self, next: &SnapshotMarker) {
        if let Range::Received(marker) = &mut self.range {
            let is_disk = marker.snapshot_type.is_disk();
            *marker = SnapshotMarker {
                end: next.end,
                visible: next.visible,
                snapshot_type: if is_disk {
                    marker.snapshot_type
                } else {
                    next.snapshot_type
                },
                high_completed_seqno: marker.high_completed_seqno.max(next.high_completed_seqno),
                high_prepared_seqno: marker.high_prepared_seqno.max(next.high_prepared_seqno),
                purge_seqno: marker.purge_seqno.max(next.purge_seqno),
                ..*marker
            };
        }
    }

    /// Continues the durable writes of `before`. The figures of its marker count only if its
    /// snapshot is complete.
    pub(super) fn continuing(self, before: &Self) -> Self {
        let range = before.snapshot_range();
        let durable = if range.last == Some(range.end) {
            let completed = before.durable.completed.max(range.high_completed_seqno);
            Durable {
                completed,
                prepared: range.high_prepared_seqno,
            }
        } else {
            before.durable
        };
        Self { durable, ..self }
    }

    pub(super) fn snapshot_type(&self) -> SnapshotType {
        match self.range {
            Range::Assigned { .. } => SnapshotType::Memory,
            Range::Received(marker) => marker.snapshot_type,
        }
    }

    /// Returns whether a batch may hold items of both this checkpoint and `next`.
    pub(super) fn may_share_batch_with(&self, next: &Self) -> bool {
        let history = |checkpoint: &Self| matches!(checkpoint.range, Range::Received(marker) if marker.history);
        !self.snapshot_type().is_disk()
            && !next.snapshot_type().is_disk()
            && history(self) == history(next)
    }

    /// Returns the current range.
    pub(super) fn snapshot_range(&self) -> SnapshotRange {
        match self.range {
            Range::Assigned { visible } => SnapshotRange {
                snapshot_id: self.snapshot_id,
                start: self.last.map_or(self.before, |_| self.before.next()),
                end: self.last.unwrap_or(self.before),
                visible,
                snapshot_type: SnapshotType::Memory,
                history: false,
                may_repeat_keys: false,
                high_completed_seqno: self.durable.completed,
                high_prepared_seqno: self.durable.prepared,
                purge_seqno: None,
                last: self.last,
                extended_from: self.extended_from,
            },
            Range::Received(marker) => SnapshotRange {
                snapshot_id: self.snapshot_id,
                start: marker.start,
                end: marker.end,
                visible: marker.visible.unwrap_or(marker.end),
                snapshot_type: marker.snapshot_type,
                history: marker.history,
                may_repeat_keys: marker.may_repeat_keys,
                high_completed_seqno: match marker.snapshot_type {
                    SnapshotType::Memory => marker.high_completed_seqno.max(self.durable.completed),
                    // A disk snapshot need not hold every commit and abort up to its end. Its
                    // marker accounts for all of them.
                    SnapshotType::Disk | SnapshotType::InitialDisk => marker.high_completed_seqno,
                },
                high_prepared_seqno: marker.high_prepared_seqno.max(self.durable.prepared),
                purge_seqno: marker.purge_seqno,
                last: self.last,
                extended_from: self.extended_from,
            },
        }
    }

    /// Records that the snapshot was complete at `end` and was then extended.
    pub(super) fn set_extended_from(&mut self, end: Seqno) {
        self.extended_from = Some(end);
    }

    /// Records a prepare, commit or abort with that seqno.
    pub(super) fn record_sync_write(&mut self, item: &Item, seqno: Seqno) {
        self.durable
            .record(item, seqno, self.snapshot_type().is_disk());
    }

    /// Records an operation with a seqno of its own.
    pub(super) fn extend_to(&mut self, seqno: Seqno, is_visible: bool) {
        self.last = Some(seqno);
        if let (Range::Assigned { visible }, true) = (&mut self.range, is_visible) {
            *visible = seqno;
        }
    }
}

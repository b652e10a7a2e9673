//! One checkpoint: a run of the queue inside which de-duplication happens and which readers take as a whole.
//!
//! It knows its positions, its snapshot range and what it holds; the items are in the queue. What always holds: a
//! closed checkpoint's positions and id never change, but for what is expelled from its front; its range changes only while
//! the snapshot it belongs to is half received: then the next one takes it in, or it ends with what is here.

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
            Operation::Commit | Operation::Abort
                if item.prepare_seqno != Seqno::ZERO && !is_disk =>
            {
                self.completed = self.completed.max(Some(item.prepare_seqno));
            }
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) id: u64,
    /// Names its snapshot: the id of the first checkpoint that has a part of it.
    pub(crate) snapshot_id: u64,
    pub(crate) open: bool,
    pub(crate) range: Range,
    /// All of it came from disk, each key once: a commit may end inside it.
    pub(crate) may_be_cut: bool,
    /// The last seqno before it, whoever was its owner.
    pub(crate) before: Seqno,
    /// The dummy: everything up to this seqno is gone or was never here.
    pub(crate) dummy: Seqno,
    /// Position of its first item, expelled or not.
    pub(crate) first: u64,
    /// The last operation in it; `None` while it has had none.
    last: Option<Seqno>,
    /// Where the snapshot ended before it was extended.
    extended_from: Option<Seqno>,
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
        let may_be_cut = marker.snapshot_type.is_disk();
        Self {
            may_be_cut,
            ..Self::new(id, before, first, Range::Received(marker))
        }
    }

    /// The same as a further part of a snapshot of which an earlier checkpoint has a part.
    pub(crate) fn of_snapshot(self, snapshot_id: u64) -> Self {
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
            may_be_cut: false,
            before,
            dummy: before,
            first,
            last: None,
            extended_from: None,
            durable: Durable::default(),
            live: Totals::default(),
        }
    }

    /// Nothing after `high` will come: a received snapshot that ends later ends there. What its marker said of all of it is
    /// not said any more, and of what was purged only as far as it reaches now.
    pub(crate) fn end_at(&mut self, high: Seqno) {
        if let Range::Received(marker) = &mut self.range
            && marker.start <= high
            && high < marker.end
        {
            let completed = self.durable.completed.unwrap_or_default();
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

    /// What is missing of a snapshot that has come to `high` arrives in another, if that begins inside it.
    pub(crate) fn taken_in_by(&mut self, next: &SnapshotMarker, high: Seqno) {
        if let Range::Received(marker) = self.range
            && high < marker.end.min(next.end)
            && next.start <= marker.end
        {
            self.ends_with(next);
        }
    }

    /// Whether it has a part of the snapshot that ends there, and not its end.
    pub(crate) fn is_half_of(&self, end: Seqno) -> bool {
        matches!(self.range, Range::Received(marker) if marker.end == end) && self.last < Some(end)
    }

    /// It is whole where `next` is; what is from disk in one of the two makes the whole one from disk.
    pub(crate) fn ends_with(&mut self, next: &SnapshotMarker) {
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

    /// The same, going on from where `before` has come to. What a marker said of a snapshot is true once all of it is here.
    pub(crate) fn after(self, before: &Self) -> Self {
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

    pub(crate) fn snapshot_type(&self) -> SnapshotType {
        match self.range {
            Range::Assigned { .. } => SnapshotType::Memory,
            Range::Received(marker) => marker.snapshot_type,
        }
    }

    /// Whether a batch may hold both its items and those of `next`.
    pub(crate) fn may_share_batch_with(&self, next: &Self) -> bool {
        let history = |checkpoint: &Self| matches!(checkpoint.range, Range::Received(marker) if marker.history);
        !self.snapshot_type().is_disk()
            && !next.snapshot_type().is_disk()
            && history(self) == history(next)
    }

    /// Its range as it is now.
    pub(crate) fn snapshot_range(&self) -> SnapshotRange {
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
                    // Its items need not hold every commit and abort up to its end; its marker does.
                    SnapshotType::Disk | SnapshotType::InitialDisk => marker.high_completed_seqno,
                },
                high_prepared_seqno: marker.high_prepared_seqno.max(self.durable.prepared),
                purge_seqno: marker.purge_seqno,
                last: self.last,
                extended_from: self.extended_from,
            },
        }
    }

    /// All of its snapshot was here, and it goes on.
    pub(crate) fn was_extended_from(&mut self, end: Seqno) {
        self.extended_from = Some(end);
    }

    /// Takes note of a part of a durable write, which has that seqno.
    pub(crate) fn take_note(&mut self, item: &Item, seqno: Seqno) {
        self.durable
            .take_note(item, seqno, self.snapshot_type().is_disk());
    }

    /// Takes note of an operation with a seqno of its own.
    pub(crate) fn extend_to(&mut self, seqno: Seqno, is_visible: bool) {
        self.last = Some(seqno);
        if let (Range::Assigned { visible }, true) = (&mut self.range, is_visible) {
            *visible = seqno;
        }
    }
}

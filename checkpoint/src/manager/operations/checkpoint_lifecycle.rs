//! Closing the open checkpoint and opening the next.
//!
//! A checkpoint ends on request, by size, by a received marker or by a change of role. It also ends
//! before a repeated key that may not be replaced. One file holds all of these, so that ids stay
//! without gaps (C1).

use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::manager::checkpoint::{Checkpoint, Range};
use crate::manager::config::Role;
use crate::manager::locked_state::LockedState;
use crate::model::{Seqno, SnapshotMarker, SnapshotType};

impl LockedState {
    /// Changes the role. `completed` is the seqno up to which durable writes have ended, as far as the
    /// vBucket knows: a manager that was restored does not know of those before it.
    pub(crate) fn set_role(&mut self, role: Role, completed: Seqno) {
        self.role = role;
        let next =
            Checkpoint::assigned(self.open.id + 1, self.high, self.visible, self.queue.end());
        self.replace_open(next);
        if role == Role::Active {
            // The missing part of a snapshot will never come: it ends with the last item here.
            let high = self.high;
            self.closed
                .iter_mut()
                .for_each(|checkpoint| checkpoint.truncate_at(high, completed));
        }
    }

    /// Closes the open checkpoint and opens the next with the same kind of range. A received snapshot
    /// continues in it.
    pub(crate) fn open_next(&mut self) {
        let id = self.open.id + 1;
        let first = self.queue.end();
        let next = match self.open.range {
            Range::Assigned { .. } => Checkpoint::assigned(id, self.high, self.visible, first),
            Range::Received(marker) => {
                let snapshot_id = self.open.snapshot_id;
                Checkpoint::received(id, self.high, first, marker).in_snapshot(snapshot_id)
            }
        };
        self.replace_open(next);
    }

    pub(crate) fn snapshot(&mut self, marker: SnapshotMarker) -> Result<(), CheckpointError> {
        self.verify_marker(&marker)?;
        if marker.extend
            && let Range::Received(open) = &mut self.open.range
        {
            let before = open.end;
            // An extended range keeps its first start, and durable writes never fall.
            *open = SnapshotMarker {
                start: open.start,
                high_completed_seqno: open.high_completed_seqno.max(marker.high_completed_seqno),
                high_prepared_seqno: open.high_prepared_seqno.max(marker.high_prepared_seqno),
                extend: false,
                may_repeat_keys: open.may_repeat_keys || marker.may_repeat_keys,
                ..marker
            };
            // Only the last checkpoint of a snapshot can be extended. The earlier parts of the
            // snapshot become whole together with it.
            let extended = *open;
            self.open.set_extended_from(before);
            let parts = self
                .closed
                .iter_mut()
                .filter(|checkpoint| checkpoint.is_partial_of(before));
            parts.for_each(|part| {
                part.move_end_to(&extended);
                part.set_extended_from(before);
            });
            self.changes += 1;
            return Ok(());
        }
        let next = Checkpoint::received(self.open.id + 1, self.high, self.queue.end(), marker);
        self.replace_open(next);
        let high = self.high;
        self.closed
            .iter_mut()
            .for_each(|checkpoint| checkpoint.complete_with(&marker, high));
        Ok(())
    }

    fn verify_marker(&self, marker: &SnapshotMarker) -> Result<(), CheckpointError> {
        let refuse = |what| Err(CheckpointError::InvalidArgument(what));
        if self.role == Role::Active {
            return refuse("an active takes no snapshot marker");
        }
        if marker.start > marker.end {
            return refuse("a snapshot must start at or before its end");
        }
        if marker.end == Seqno::MAX {
            return refuse("a snapshot must end below the highest number, which means \"no end\"");
        }
        if marker.end < self.high {
            return refuse("a snapshot must not end below the last seqno queued");
        }
        if marker.visible.is_some_and(|visible| visible > marker.end) {
            return refuse("a snapshot's visible seqno must not be beyond its end");
        }
        if marker.snapshot_type.is_disk() && marker.high_completed_seqno.is_none() {
            return refuse("a disk snapshot must have a high completed seqno");
        }
        if marker.purge_seqno.is_some() && !marker.snapshot_type.is_disk() {
            return refuse("only a disk snapshot may have a purge seqno");
        }
        if marker.extend {
            let Range::Received(open) = self.open.range else {
                return refuse("there is no received snapshot to extend");
            };
            let both_memory = open.snapshot_type == SnapshotType::Memory
                && marker.snapshot_type == SnapshotType::Memory;
            if !both_memory || open.history != marker.history {
                return refuse("only a memory snapshot can be extended, by one of the same kind");
            }
            if self.high != open.end || marker.start != open.end.next() {
                return refuse(
                    "a snapshot can be extended once it is complete, from the seqno after its end",
                );
            }
        }
        Ok(())
    }

    fn replace_open(&mut self, next: Checkpoint) {
        let next = next.continuing(&self.open);
        let mut closed = std::mem::replace(&mut self.open, next);
        closed.open = false;
        self.checkpoints_created += 1;
        self.closed.push_back(closed);
        if !fault::is(Fault::IndexOutlivesItsCheckpoint) {
            self.reset_index();
        }
        self.remove_unreferenced();
        // No reader is woken: there is nothing new to read.
        self.changes += 1;
    }
}

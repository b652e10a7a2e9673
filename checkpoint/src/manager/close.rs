//! Closing the open checkpoint and opening the next: on request, by size, by a repeat that may not replace, by a
//! received marker, by a change of role.

use super::config::Role;
use super::inner::Inner;
use crate::checkpoint::{Checkpoint, Range};
use crate::fault::{self, Fault};
use crate::{CheckpointError, Seqno, SnapshotMarker, SnapshotType};

impl Inner {
    pub(super) fn set_role(&mut self, role: Role) {
        self.role = role;
        let next =
            Checkpoint::assigned(self.open.id + 1, self.high, self.visible, self.queue.end());
        self.replace_open(next);
        if role == Role::Active {
            // What is missing of a snapshot will never come: it ends with what is here.
            let high = self.high;
            self.closed
                .iter_mut()
                .for_each(|checkpoint| checkpoint.end_at(high));
        }
    }

    /// Closes the open checkpoint and opens the next with the same kind of range: a received snapshot goes on in it.
    pub(super) fn open_next(&mut self) {
        let (id, first) = (self.open.id + 1, self.queue.end());
        let next = match self.open.range {
            Range::Assigned { .. } => Checkpoint::assigned(id, self.high, self.visible, first),
            Range::Received(marker) => {
                let snapshot_id = self.open.snapshot_id;
                Checkpoint::received(id, self.high, first, marker).of_snapshot(snapshot_id)
            }
        };
        self.replace_open(next);
    }

    pub(super) fn snapshot(&mut self, marker: SnapshotMarker) -> Result<(), CheckpointError> {
        self.verify_marker(&marker)?;
        if marker.extend
            && let Range::Received(open) = &mut self.open.range
        {
            let before = open.end;
            // The first start decides an extended range; how far durable writes have come never falls.
            *open = SnapshotMarker {
                start: open.start,
                high_completed_seqno: open.high_completed_seqno.max(marker.high_completed_seqno),
                high_prepared_seqno: open.high_prepared_seqno.max(marker.high_prepared_seqno),
                extend: false,
                may_repeat_keys: open.may_repeat_keys || marker.may_repeat_keys,
                ..marker
            };
            // Of a snapshot of several checkpoints only the last can be extended, and what came in the others is whole with it.
            let extended = *open;
            self.open.was_extended_from(before);
            let halves = self
                .closed
                .iter_mut()
                .filter(|checkpoint| checkpoint.is_half_of(before));
            halves.for_each(|half| {
                half.ends_with(&extended);
                half.was_extended_from(before);
            });
            self.changes += 1;
            return Ok(());
        }
        let next = Checkpoint::received(self.open.id + 1, self.high, self.queue.end(), marker);
        self.replace_open(next);
        let high = self.high;
        self.closed
            .iter_mut()
            .for_each(|checkpoint| checkpoint.taken_in_by(&marker, high));
        Ok(())
    }

    fn verify_marker(&self, marker: &SnapshotMarker) -> Result<(), CheckpointError> {
        let refuse = |what| Err(CheckpointError::InvalidArgument(what));
        if self.role == Role::Active {
            return refuse("an active makes its own snapshots");
        }
        if marker.start > marker.end {
            return refuse("a snapshot starts at or before its end");
        }
        if marker.end == Seqno::MAX {
            return refuse(
                "a snapshot ends at a seqno: the highest number means that there is no end",
            );
        }
        if marker.end < self.high {
            return refuse("a snapshot does not end below what is queued already");
        }
        if marker.visible.is_some_and(|visible| visible > marker.end) {
            return refuse("a snapshot's visible seqno is not beyond its end");
        }
        if marker.snapshot_type.is_disk() && marker.high_completed_seqno.is_none() {
            return refuse("a disk snapshot names its high completed seqno");
        }
        if marker.purge_seqno.is_some() && !marker.snapshot_type.is_disk() {
            return refuse("only a disk snapshot has a purge seqno");
        }
        if marker.extend {
            let Range::Received(open) = self.open.range else {
                return refuse("there is no received snapshot to extend");
            };
            let both_memory = open.snapshot_type == SnapshotType::Memory
                && marker.snapshot_type == SnapshotType::Memory;
            if !both_memory || open.history != marker.history {
                return refuse("only a memory snapshot is extended, and by one of its kind");
            }
            if self.high != open.end || marker.start != open.end.next() {
                return refuse(
                    "a snapshot is extended when it is complete, from the seqno after its end",
                );
            }
        }
        Ok(())
    }

    fn replace_open(&mut self, next: Checkpoint) {
        let next = next.after(&self.open);
        let mut closed = std::mem::replace(&mut self.open, next);
        closed.open = false;
        self.checkpoints_created += 1;
        self.closed.push_back(closed);
        if !fault::is(Fault::IndexOutlivesItsCheckpoint) {
            self.reset_index();
        }
        self.remove_unreferenced();
        // Nobody is to be woken: there is nothing new to read.
        self.changes += 1;
    }
}

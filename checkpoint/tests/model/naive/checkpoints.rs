//! Checkpoints of the naive manager: closing, received markers, changes of role.

use lowtide_checkpoint::{Role, Seqno, SnapshotMarker, SnapshotType};

use super::Naive;
use crate::checkpoint::Checkpoint;

impl Naive {
    pub fn open_is_full(&self) -> bool {
        let held = || {
            self.log
                .iter()
                .filter(|record| record.checkpoint == self.open().id && record.is_live())
        };
        let bytes: usize = held().map(|record| self.cost(&record.item)).sum();
        held().count() > 0 && self.max_bytes.is_some_and(|max| bytes >= max)
    }

    pub fn close(&mut self) {
        self.open_next();
    }

    pub fn snapshot(&mut self, marker: SnapshotMarker) -> Result<(), &'static str> {
        let is_disk = marker.snapshot_type != SnapshotType::Memory;
        let nonsense = self.role == Role::Active
            || marker.start > marker.end
            || marker.end < self.high
            || marker.visible.is_some_and(|visible| visible > marker.end)
            || (is_disk && marker.high_completed_seqno.is_none())
            || (!is_disk && marker.purge_seqno.is_some());
        if nonsense {
            return Err("invalid-argument");
        }
        if !marker.extend {
            let high = self.high;
            let begins_inside = |part: &SnapshotMarker| marker.start <= part.end;
            let is_partial = |part: &&mut Checkpoint| {
                part.marker
                    .is_some_and(|part| high < part.end.min(marker.end) && begins_inside(&part))
            };
            self.checkpoints
                .iter_mut()
                .filter(is_partial)
                .for_each(|part| part.move_end_to(&marker));
            self.open_with(Some(marker), None);
            return Ok(());
        }
        let high = self.high;
        let lasts: Vec<_> = self
            .checkpoints
            .iter()
            .map(|checkpoint| self.last(checkpoint))
            .collect();
        let (open, closed) = self
            .checkpoints
            .split_last_mut()
            .expect("one is always open");
        match &mut open.marker {
            Some(old)
                if old.snapshot_type == SnapshotType::Memory
                    && !is_disk
                    && old.history == marker.history
                    && old.end == high
                    && marker.start == Seqno(old.end.0 + 1) =>
            {
                let before = old.end;
                *old = SnapshotMarker {
                    start: old.start,
                    high_completed_seqno: old.high_completed_seqno.max(marker.high_completed_seqno),
                    high_prepared_seqno: old.high_prepared_seqno.max(marker.high_prepared_seqno),
                    may_repeat_keys: old.may_repeat_keys || marker.may_repeat_keys,
                    ..marker
                };
                open.extended_from = Some(before);
                for (part, last) in closed.iter_mut().zip(lasts) {
                    if part.marker.is_some_and(|marker| marker.end == before) && last < Some(before)
                    {
                        part.extend_with(old, before);
                    }
                }
                Ok(())
            }
            _ => Err("invalid-argument"),
        }
    }

    pub fn set_role(&mut self, role: Role) {
        self.role = role;
        if role == Role::Active {
            let high = self.high;
            let completed: Vec<_> = self
                .checkpoints
                .iter()
                .map(|checkpoint| self.durable(checkpoint).0)
                .collect();
            for (checkpoint, completed) in self.checkpoints.iter_mut().zip(completed) {
                checkpoint.truncate_at(high, completed);
            }
        }
        self.open_with(None, None);
    }

    pub fn open_next(&mut self) {
        let (marker, id) = (self.open().marker, self.open().snapshot_id);
        self.open_with(marker, marker.map(|_| id));
    }

    fn open_with(&mut self, marker: Option<SnapshotMarker>, snapshot_id: Option<u64>) {
        let id = self.open().id + 1;
        self.checkpoints.push(Checkpoint {
            id,
            snapshot_id: snapshot_id.unwrap_or(id),
            marker,
            before: self.high,
            dummy: self.high,
            is_truncated: false,
            was_memory: false,
            extended_from: None,
        });
        self.checkpoints_created += 1;
        self.remove();
    }
}

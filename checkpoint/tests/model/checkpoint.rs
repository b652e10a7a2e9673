//! One checkpoint of the naive model: its number, its start, and the snapshot it was received in.

use lowtide_checkpoint::{Seqno, SnapshotMarker, SnapshotType};

#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub id: u64,
    /// Id of the first checkpoint of its snapshot.
    pub snapshot_id: u64,
    /// Marker of the snapshot; `None` on an active.
    pub marker: Option<SnapshotMarker>,
    /// Last seqno before the checkpoint.
    pub before: Seqno,
    pub dummy: Seqno,
    /// Whether the owner became active inside the snapshot, which ended there.
    pub is_truncated: bool,
    /// End of the snapshot before it was extended.
    pub extended_from: Option<Seqno>,
    /// Whether the checkpoint came from memory and its rest from disk.
    pub was_memory: bool,
}

impl Checkpoint {
    /// Returns whether all of it came from disk, with each key once.
    pub fn came_from_disk(&self) -> bool {
        self.is_disk() && !self.was_memory
    }

    /// Truncates the snapshot at `high`: the rest will never come.
    pub fn truncate_at(&mut self, high: Seqno, completed: Option<Seqno>) {
        let is_disk = self.is_disk();
        let part = self
            .marker
            .as_mut()
            .filter(|marker| marker.start <= high && high < marker.end);
        if let Some(marker) = part {
            marker.end = high;
            marker.visible = marker.visible.map(|visible| visible.min(high));
            marker.purge_seqno = marker.purge_seqno.map(|purged| purged.min(high));
            marker.high_completed_seqno = is_disk.then_some(completed.unwrap_or_default());
            marker.high_prepared_seqno = None;
            self.is_truncated = true;
        }
    }

    /// Moves the end to that of `next`, which brings the rest.
    pub fn move_end_to(&mut self, next: &SnapshotMarker) {
        let is_disk = self.is_disk();
        if let Some(marker) = &mut self.marker {
            if !is_disk && next.snapshot_type != SnapshotType::Memory {
                (marker.snapshot_type, self.was_memory) = (next.snapshot_type, true);
            }
            (marker.end, marker.visible) = (next.end, next.visible);
            marker.high_completed_seqno =
                marker.high_completed_seqno.max(next.high_completed_seqno);
            marker.high_prepared_seqno = marker.high_prepared_seqno.max(next.high_prepared_seqno);
            marker.purge_seqno = marker.purge_seqno.max(next.purge_seqno);
        }
    }

    /// Extends the snapshot, which ended at `before`.
    pub fn extend_with(&mut self, next: &SnapshotMarker, before: Seqno) {
        self.move_end_to(next);
        self.extended_from = Some(before);
    }

    pub fn is_disk(&self) -> bool {
        self.marker
            .is_some_and(|marker| marker.snapshot_type != SnapshotType::Memory)
    }
}

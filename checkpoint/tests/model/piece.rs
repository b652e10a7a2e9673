//! One checkpoint of the naive model: its number, where it begins, and the snapshot it was received in.

use lowtide_checkpoint::{Seqno, SnapshotMarker, SnapshotType};

#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub id: u64,
    /// Id of the first checkpoint of its snapshot.
    pub snapshot_id: u64,
    /// `None` on an active.
    pub marker: Option<SnapshotMarker>,
    /// The last seqno before it.
    pub before: Seqno,
    pub dummy: Seqno,
    /// The owner became active inside its snapshot, which ended there.
    pub is_cut: bool,
    /// Where its snapshot ended before it was extended.
    pub extended_from: Option<Seqno>,
    /// It came from memory, and its rest from disk.
    pub was_memory: bool,
}

impl Checkpoint {
    /// All of it: each key once.
    pub fn came_from_disk(&self) -> bool {
        self.is_disk() && !self.was_memory
    }

    /// Nothing of its snapshot comes after `high`.
    pub fn end_at(&mut self, high: Seqno, completed: Option<Seqno>) {
        let is_disk = self.is_disk();
        let half = self
            .marker
            .as_mut()
            .filter(|marker| marker.start <= high && high < marker.end);
        if let Some(marker) = half {
            marker.end = high;
            marker.visible = marker.visible.map(|visible| visible.min(high));
            marker.purge_seqno = marker.purge_seqno.map(|purged| purged.min(high));
            marker.high_completed_seqno = is_disk.then_some(completed.unwrap_or_default());
            marker.high_prepared_seqno = None;
            self.is_cut = true;
        }
    }

    /// The rest of its snapshot comes in another.
    pub fn ends_with(&mut self, next: &SnapshotMarker) {
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

    /// The snapshot that it has a part of ended at `before`, and goes on.
    pub fn is_extended_with(&mut self, next: &SnapshotMarker, before: Seqno) {
        self.ends_with(next);
        self.extended_from = Some(before);
    }

    pub fn is_disk(&self) -> bool {
        self.marker
            .is_some_and(|marker| marker.snapshot_type != SnapshotType::Memory)
    }
}

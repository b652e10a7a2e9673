//! The markers of a follower: which ranges of seqnos its reader gets, and where it is whole.
//!
//! # Invariants
//!
//! - S36. The first marker starts where the reader's snapshot does, and each later one after the end of
//!   the one before. A snapshot may be cut short: its rest comes from elsewhere. The next marker then
//!   starts where the cut one did, ends no earlier, and says that a key may repeat.

use lowtide_checkpoint::{ResumePoint, Seqno, SnapshotMarker, SnapshotRange, SnapshotType};

/// Range of a marker.
#[derive(Clone, Copy, Debug)]
struct Announced {
    start: Seqno,
    end: Seqno,
    snapshot_type: SnapshotType,
}

/// The markers so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Markers {
    next_start: Seqno,
    announced: Option<Announced>,
    /// The rest of the announced range comes under another marker.
    is_cut: bool,
    /// End of a cut snapshot, which the next one must reach.
    reach: Seqno,
    /// Completed seqno of the last marker. It counts for what continues a cut snapshot, too.
    completed: Option<Seqno>,
    /// Snapshot in memory of the last marker; `None` for one from disk, or from several places.
    snapshot_id: Option<u64>,
}

impl Markers {
    /// Creates the markers of a reader that resumes at `place`. A reader inside a snapshot lacks what
    /// was replaced in it: its snapshot is one that was cut short.
    pub(super) fn at(place: &ResumePoint) -> Self {
        let is_inside = is_inside(place);
        Self {
            next_start: if is_inside {
                place.snapshot_start
            } else {
                place.seqno
            },
            announced: is_inside.then_some(Announced {
                start: place.snapshot_start,
                end: place.snapshot_end,
                // Of a snapshot that began before, the kind is unknown. It is never extended.
                snapshot_type: SnapshotType::Disk,
            }),
            is_cut: is_inside,
            reach: if is_inside {
                place.snapshot_end
            } else {
                Seqno::ZERO
            },
            completed: None,
            snapshot_id: None,
        }
    }

    /// Returns whether a reader that has everything up to `read` has all of the last snapshot.
    pub(super) fn is_whole(&self, read: Seqno) -> bool {
        self.end() <= read
    }

    /// Returns the end of the last snapshot; 0 if there was none.
    pub(super) fn end(&self) -> Seqno {
        self.announced
            .map_or(Seqno::ZERO, |announced| announced.end)
    }

    /// Cuts the snapshot short, unless a reader at `read` has all of it.
    pub(super) fn cut(&mut self, read: Seqno) {
        if let Some(cut) = self.announced.filter(|announced| announced.end > read) {
            self.next_start = cut.start;
            self.reach = self.reach.max(cut.end);
            self.is_cut = true;
            self.snapshot_id = None;
        }
    }

    /// Returns the marker for items of `range` that follow `read`, if the last one does not cover
    /// them.
    pub(super) fn for_memory(
        &mut self,
        range: &SnapshotRange,
        read: Seqno,
    ) -> Option<SnapshotMarker> {
        let is_longer = self.end() < range.end;
        let is_another = self
            .snapshot_id
            .is_some_and(|snapshot_id| snapshot_id != range.snapshot_id);
        if is_longer || is_another {
            self.cut(read);
        }
        let may_repeat_keys = range.may_repeat_keys_after(read);
        let marker = SnapshotMarker {
            visible: Some(range.visible),
            high_completed_seqno: range.high_completed_seqno,
            high_prepared_seqno: range.high_prepared_seqno,
            purge_seqno: range.purge_seqno,
            history: range.history,
            may_repeat_keys,
            ..SnapshotMarker::new(range.snapshot_type, range.start, range.end)
        };
        self.announce(marker, Some(range.snapshot_id))
    }

    /// Returns the marker for a snapshot from disk.
    pub(super) fn for_disk(&mut self, marker: SnapshotMarker) -> Option<SnapshotMarker> {
        self.announce(marker, None)
    }

    fn announce(
        &mut self,
        marker: SnapshotMarker,
        snapshot_id: Option<u64>,
    ) -> Option<SnapshotMarker> {
        let end = marker.end.max(self.reach);
        // A snapshot that the vBucket receives itself may continue in another checkpoint. It was
        // announced to its end.
        if !self.is_cut && end <= self.end() {
            return None;
        }
        let snapshot_id = snapshot_id.filter(|_| end == marker.end);
        // A snapshot may become one from disk when its rest comes from elsewhere.
        let is_memory = marker.snapshot_type == SnapshotType::Memory
            && self
                .announced
                .is_some_and(|before| before.snapshot_type == SnapshotType::Memory);
        let before = self.completed.filter(|_| self.is_cut);
        let marker = SnapshotMarker {
            start: self.next_start,
            end,
            extend: snapshot_id.is_some() && self.snapshot_id == snapshot_id && is_memory,
            high_completed_seqno: marker.high_completed_seqno.max(before),
            may_repeat_keys: marker.may_repeat_keys || self.is_cut,
            ..marker
        };
        *self = Self {
            next_start: end.next(),
            announced: Some(Announced {
                start: marker.start,
                end,
                snapshot_type: marker.snapshot_type,
            }),
            is_cut: false,
            reach: Seqno::ZERO,
            completed: marker.high_completed_seqno,
            snapshot_id,
        };
        Some(marker)
    }
}

/// Returns whether a reader at `place` has only a part of its snapshot.
pub(super) fn is_inside(place: &ResumePoint) -> bool {
    place.snapshot_start < place.seqno && place.seqno < place.snapshot_end
}

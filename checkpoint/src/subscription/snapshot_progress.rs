//! The snapshot that a subscription's reader is in, so that it can resume at another copy.
//!
//! A reader is inside a snapshot in two cases. Its replica has received only a part of one. Or it
//! has fetched a backfill: the disk may be ahead of the requested end, and lacks the revisions that
//! were replaced up to there.

use crate::manager::CursorBatch;
use crate::model::Seqno;
use crate::resume::ResumePoint;

/// The last seqno at which a reader was whole, and the next one at which it will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotProgress {
    /// The reader has everything up to this seqno.
    whole: Seqno,
    /// The reader has everything once it reaches this seqno.
    end: Seqno,
}

impl SnapshotProgress {
    /// Creates the progress of a reader that resumes at `point`.
    pub(super) fn of(point: &ResumePoint) -> Self {
        Self {
            whole: point.snapshot_start,
            end: point.snapshot_end,
        }
        .at(point.seqno)
    }

    /// Creates the progress of a reader that has everything up to `seqno`.
    pub(super) fn whole(seqno: Seqno) -> Self {
        Self {
            whole: seqno,
            end: seqno,
        }
    }

    /// Advances the progress by the snapshots of a delivered batch.
    pub(super) fn record(&mut self, batch: &CursorBatch) {
        for range in batch.ranges() {
            let last = range.last.unwrap_or_default().min(batch.last_seqno());
            if last > Seqno::ZERO {
                *self = self.within(range.end).at(last);
            }
        }
    }

    /// Returns the progress of a reader that has fetched items of a snapshot that ends at `end`.
    pub(super) fn within(self, end: Seqno) -> Self {
        Self {
            end: self.end.max(end),
            ..self
        }
    }

    /// Returns the progress of a reader that has reached `seqno`.
    pub(super) fn at(self, seqno: Seqno) -> Self {
        if seqno >= self.end {
            Self::whole(seqno)
        } else {
            self
        }
    }

    /// Returns start and end of the snapshot of a reader that has reached `seqno`.
    pub(super) fn snapshot(self, seqno: Seqno) -> (Seqno, Seqno) {
        if self.whole >= seqno {
            (seqno, seqno)
        } else {
            (self.whole, self.end.max(seqno))
        }
    }
}

//! Which snapshot a subscription's reader is in, so that it can come back to another copy.
//!
//! In go the ends of what it was given; out comes the last seqno at which it had everything, and the one at which it will have
//! everything again. A reader is inside a snapshot while its replica has received only a part of one, and after a backfill: the
//! disk it fetched from may be ahead of what it was asked to fetch, and lacks what was replaced up to where it was.

use crate::{Batch, ResumePoint, Seqno};

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// It has everything up to here.
    whole: Seqno,
    /// It has everything once it has come here.
    end: Seqno,
}

impl Place {
    pub(super) fn of(point: &ResumePoint) -> Self {
        Self {
            whole: point.snapshot_start,
            end: point.snapshot_end,
        }
        .at(point.seqno)
    }

    /// The reader went back to where it had everything.
    pub(super) fn whole(seqno: Seqno) -> Self {
        Self {
            whole: seqno,
            end: seqno,
        }
    }

    pub(super) fn take(&mut self, batch: &Batch) {
        for range in batch.ranges() {
            let last = range.last.unwrap_or_default().min(batch.last_seqno());
            if last > Seqno::ZERO {
                *self = self.within(range.end).at(last);
            }
        }
    }

    /// It has fetched what is on disk, which may have come to `end`.
    pub(super) fn within(self, end: Seqno) -> Self {
        Self {
            end: self.end.max(end),
            ..self
        }
    }

    pub(super) fn at(self, seqno: Seqno) -> Self {
        if seqno >= self.end {
            Self::whole(seqno)
        } else {
            self
        }
    }

    /// The snapshot of a reader that has come to `seqno`: where it starts, and where it ends.
    pub(super) fn snapshot(self, seqno: Seqno) -> (Seqno, Seqno) {
        if self.whole >= seqno {
            (seqno, seqno)
        } else {
            (self.whole, self.end.max(seqno))
        }
    }
}

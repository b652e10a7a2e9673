//! A subscription whose reader reads from disk.
//!
//! A snapshot on disk may reach further than the backfill that a reader was asked to fetch. The reader
//! takes all of it and continues behind it. Meanwhile it learns of rollbacks without reading on.
//!
//! # Invariants
//! - A rollback between a reader's last event and its skip is reported before anything is read behind
//!   the skip (C24).

use super::event::SubscriptionEvent;
use super::snapshot_progress::SnapshotProgress;
use super::subscription::Subscription;
use crate::error::CheckpointError;
use crate::manager::Subscriber;
use crate::model::Seqno;

impl Subscription {
    /// Continues after `seqno`, which the reader reaches with a snapshot from disk that was pinned
    /// after its last event. O(log n).
    ///
    /// The cursor moves in one step: nothing behind `seqno` leaves memory any more, unless memory
    /// recovery drops the cursor. If memory lacks items after `seqno` already, the next poll returns
    /// another [`SubscriptionEvent::Backfill`]. The reader then reads the snapshot. If the vBucket was
    /// rolled back below `seqno` since the last event, the snapshot is not of this history:
    /// [`Subscription::interruption`] and each poll return [`SubscriptionEvent::RolledBack`].
    ///
    /// # Errors
    /// - [`CheckpointError::NotQueuedYet`] if `seqno` is above the high seqno.
    /// - [`CheckpointError::InvalidArgument`] during a rollback that the reader has not followed.
    /// - [`CheckpointError::UnknownCursor`] if another consumer took over the name.
    pub fn skip_to(&mut self, seqno: Seqno) -> Result<(), CheckpointError> {
        if self.rollback_to.is_some() {
            return Err(CheckpointError::InvalidArgument(
                "a subscription cannot skip before its reader has gone back",
            ));
        }
        let resumed = self.manager.resume(&Subscriber {
            seqno,
            ..self.subscriber()
        })?;
        self.seqno = seqno;
        self.snapshot_progress = SnapshotProgress::whole(seqno);
        self.is_backfilling = false;
        self.apply_resumed(&resumed);
        Ok(())
    }

    /// Returns the number of the vBucket's rollbacks that the subscription has noticed. What a reader
    /// pinned on disk before another one is of a history that may be gone, even if nothing that was
    /// delivered is.
    #[must_use]
    pub fn noticed_rollbacks(&self) -> u64 {
        self.rollbacks
    }

    /// Returns the event that a reader must know of although it is still reading from disk: a
    /// rollback, the stop or the end. Delivers nothing.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`] if another consumer took over the name.
    pub fn interruption(&mut self) -> Result<Option<SubscriptionEvent>, CheckpointError> {
        if let Some(end) = self.end() {
            return Ok(Some(end));
        }
        if self.manager.rollbacks() != self.rollbacks {
            let resumed = self.manager.resume(&self.subscriber())?;
            self.apply_resumed(&resumed);
        }
        Ok(self.rollback_to.map(SubscriptionEvent::RolledBack))
    }
}

//! Writing on an active, and receiving on a replica.
//!
//! # Invariants
//! - Seqno and CAS of a write are assigned inside one critical section, so CAS order is seqno order.
//! - Durable writes complete in their order, each once (C21).

use super::error::VBucketError;
use super::locked_vbucket::LockedVBucket;
use super::roles::is_follower;
use super::vbucket::VBucket;
use crate::manager::Queued;
use crate::model::{Cas, Item, Seqno, SnapshotMarker, SnapshotType, State, StateUpdate};

/// The place of a write in its vBucket's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// CAS of the write.
    pub cas: Cas,
    /// Seqno of the write, and its effect on the queue.
    pub queued: Queued,
}

impl VBucket {
    /// Takes a write at `now` (nanoseconds since the epoch) and assigns its seqno and CAS.
    ///
    /// # Errors
    /// - [`VBucketError::WrongState`] unless active.
    /// - [`VBucketError::CompletionOutOfOrder`] for a commit or abort of the wrong prepare.
    /// - [`VBucketError::ClockExhausted`] if there is no higher CAS.
    /// - [`VBucketError::Checkpoint`] if the manager refuses the item.
    pub fn write(&self, mut item: Item, now: u64) -> Result<Written, VBucketError> {
        let mut locked = self.lock();
        self.require(&locked, |state| state == State::Active)?;
        if StateUpdate::of(&item).is_completion() {
            self.require_next_completion(&locked, &item, self.manager.high_seqno().next())?;
        }
        let clock_before = locked.clock;
        item.cas = locked
            .clock
            .next(now)
            .ok_or(VBucketError::ClockExhausted { vb: self.id })?;
        let cas = item.cas;
        let update = StateUpdate::of(&item);
        match self.manager.queue(item) {
            Ok(queued) => {
                locked
                    .current
                    .apply(update, queued.seqno, SnapshotType::Memory);
                Ok(Written { cas, queued })
            }
            Err(source) => {
                locked.clock = clock_before;
                Err(self.checkpoint_error(source))
            }
        }
    }

    /// Takes an item of the snapshot being received.
    ///
    /// # Errors
    /// - [`VBucketError::WrongState`] on an active or dead vBucket.
    /// - [`VBucketError::CompletionOutOfOrder`] for a commit or abort of the wrong prepare, unless it
    ///   comes from disk.
    /// - [`VBucketError::Checkpoint`] for a seqno that is out of order or outside the snapshot.
    pub fn receive(&self, item: Item) -> Result<Queued, VBucketError> {
        let mut locked = self.lock();
        self.require(&locked, is_follower)?;
        let update = StateUpdate::of(&item);
        if update.is_completion() && !self.manager.open_range().snapshot_type.is_disk() {
            self.require_next_completion(&locked, &item, item.seqno)?;
        }
        let queued = self
            .manager
            .queue(item)
            .map_err(|source| self.checkpoint_error(source))?;
        let range = self.manager.open_range();
        locked
            .current
            .apply(update, queued.seqno, range.snapshot_type);
        locked.clock.observe(update.cas);
        // A vBucket state uses up no seqno: the copy has not reached the one it carries.
        if update.operation.namespace().is_none() {
            return Ok(queued);
        }
        // Counts for a part of the snapshot, too: tombstones that the sender had purged are missing
        // in it, and the rest may never come.
        let purged = range.purge_seqno.unwrap_or_default().min(queued.seqno);
        locked.current.purge_seqno = locked.current.purge_seqno.max(purged);
        locked.received.snapshot_end = range.end;
        if queued.seqno == range.end {
            locked.received.complete = range.end;
            let completed = range.high_completed_seqno.unwrap_or_default();
            locked.current.high_completed_seqno =
                locked.current.high_completed_seqno.max(completed);
        }
        Ok(queued)
    }

    /// Takes the marker of the next snapshot.
    ///
    /// # Errors
    /// - [`VBucketError::WrongState`] on an active or dead vBucket.
    /// - [`VBucketError::CompletedFalls`] if its completed seqno is below this copy's.
    /// - [`VBucketError::Checkpoint`] for a marker that is not valid here.
    pub fn receive_marker(&self, marker: SnapshotMarker) -> Result<(), VBucketError> {
        let locked = self.lock();
        self.require(&locked, is_follower)?;
        let high_completed = locked.current.high_completed_seqno;
        if let Some(offered) = marker
            .high_completed_seqno
            .filter(|&offered| offered < high_completed)
        {
            return Err(VBucketError::CompletedFalls {
                vb: self.id,
                offered,
                high_completed,
            });
        }
        self.manager
            .snapshot(marker)
            .map_err(|source| self.checkpoint_error(source))
    }

    /// Returns an error unless the item's prepare is above all completed ones and below the item.
    fn require_next_completion(
        &self,
        locked: &LockedVBucket,
        item: &Item,
        seqno: Seqno,
    ) -> Result<(), VBucketError> {
        let (prepare_seqno, high_completed) =
            (item.prepare_seqno, locked.current.high_completed_seqno);
        if prepare_seqno > high_completed && prepare_seqno < seqno {
            return Ok(());
        }
        Err(VBucketError::CompletionOutOfOrder {
            vb: self.id,
            prepare_seqno,
            high_completed,
            seqno,
        })
    }
}

//! Rolling back to an earlier seqno, and continuing inside a partially received snapshot.
//!
//! Both restore a replica from what its store has: after a rollback, or after a restart.

use super::error::VBucketError;
use super::received_snapshots::{ReceivedSnapshots, is_partial};
use super::roles::{is_follower, role};
use super::vbucket::VBucket;
use crate::error::CheckpointError;
use crate::internal::invariant::checked_invariant;
use crate::manager::Role;
use crate::model::{Seqno, SnapshotMarker, VBucketState};

impl VBucket {
    /// Discards everything after `seqno` from memory. `persisted` is the state that the store was
    /// rolled back to.
    ///
    /// Cursors stay and move to `seqno`, subscriptions report the rollback, and a flush in progress
    /// becomes void. The failover log keeps the branches that begin at or below `seqno`.
    ///
    /// # Errors
    /// - [`VBucketError::WrongState`] on an active, whose history is final, or a dead vBucket.
    /// - [`VBucketError::RollbackAhead`] for a seqno above the last one.
    /// - [`VBucketError::Checkpoint`] for a persisted snapshot that has no end.
    pub fn rollback(&self, seqno: Seqno, persisted: &VBucketState) -> Result<(), VBucketError> {
        let mut locked = self.lock();
        self.require(&locked, is_follower)?;
        let high = self.manager.high_seqno();
        if seqno > high {
            return Err(VBucketError::RollbackAhead {
                vb: self.id,
                to: seqno,
                high,
            });
        }
        let mut failover_log = locked.current.failover_log.clone();
        failover_log.prune(seqno);
        let restored = VBucketState {
            state: locked.current.state,
            failover_log,
            ..persisted.clone()
        };
        let partial = self.partial_snapshot(&restored, seqno)?;
        locked.current = restored;
        locked.received = ReceivedSnapshots::on_disk(persisted, seqno);
        self.manager.clear(seqno);
        if let Some(partial) = partial {
            self.reopen_snapshot(partial);
        }
        Ok(())
    }

    /// Returns the marker of the snapshot that a replica has only a part of on disk, if there is one.
    ///
    /// # Errors
    /// [`VBucketError::Checkpoint`] for a snapshot that has no end, which only a file from elsewhere
    /// can name.
    pub(super) fn partial_snapshot(
        &self,
        persisted: &VBucketState,
        high: Seqno,
    ) -> Result<Option<SnapshotMarker>, VBucketError> {
        if role(persisted.state) == Role::Active || !is_partial(persisted, high) {
            return Ok(None);
        }
        if persisted.snapshot_end == Seqno::MAX {
            let what = "a persisted snapshot must end below the highest number";
            return Err(self.checkpoint_error(CheckpointError::InvalidArgument(what)));
        }
        let completed = persisted
            .snapshot_type
            .is_disk()
            .then_some(persisted.high_completed_seqno);
        Ok(Some(SnapshotMarker {
            high_completed_seqno: completed,
            ..SnapshotMarker::new(
                persisted.snapshot_type,
                persisted.snapshot_start,
                persisted.snapshot_end,
            )
        }))
    }

    /// Opens the rest of a partial snapshot.
    pub(super) fn reopen_snapshot(&self, partial: SnapshotMarker) {
        let reopened = self.manager.snapshot(partial);
        // Without its marker the copy still counts as partial, and takes the next marker.
        checked_invariant!(
            reopened.is_ok(),
            "C22",
            "a partial snapshot starts at or below the high seqno and ends above it"
        );
    }
}

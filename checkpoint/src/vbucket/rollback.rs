//! Going back to an earlier seqno, and going on inside a snapshot that was received in part.

use super::{Received, VBucket, follows, is_half, role};
use crate::{Role, Seqno, SnapshotMarker, VBucketError, VBucketState};

impl VBucket {
    /// Gives up everything after `seqno`, in memory: `persisted` is what its store was rolled back to. Cursors stay and
    /// stand at `seqno`, subscriptions are told; a flush in progress is void. The failover log keeps the branches that
    /// begin at or below.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on an active, whose history nobody can take back, or a dead vBucket;
    /// [`VBucketError::RollbackAhead`] for a seqno above the last one.
    pub fn rollback(&self, seqno: Seqno, persisted: &VBucketState) -> Result<(), VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, follows)?;
        let high = self.manager.high_seqno();
        if seqno > high {
            return Err(VBucketError::RollbackAhead {
                vb: self.id,
                to: seqno,
                high,
            });
        }
        let (state, mut failover_log) = (inner.current.state, inner.current.failover_log.clone());
        failover_log.prune(seqno);
        inner.current = VBucketState {
            state,
            failover_log,
            ..persisted.clone()
        };
        inner.received = Received::on_disk(persisted, seqno);
        self.manager.clear(seqno);
        self.resume_snapshot(&inner.current, seqno);
        Ok(())
    }

    /// A replica that has a part of a snapshot on disk is still inside it.
    pub(super) fn resume_snapshot(&self, persisted: &VBucketState, high: Seqno) {
        if role(persisted.state) == Role::Active || !is_half(persisted, high) {
            return;
        }
        let completed = persisted
            .snapshot_type
            .is_disk()
            .then_some(persisted.high_completed_seqno);
        let marker = SnapshotMarker {
            high_completed_seqno: completed,
            ..SnapshotMarker::new(
                persisted.snapshot_type,
                persisted.snapshot_start,
                persisted.snapshot_end,
            )
        };
        let resumed = self.manager.snapshot(marker);
        debug_assert_eq!(
            resumed,
            Ok(()),
            "it starts at or below the high seqno and ends above it"
        );
    }
}

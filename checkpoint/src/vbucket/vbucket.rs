//! The vBucket itself: its id, its manager, its lock, and its current figures.
//!
//! Writing, changes of state, commits and subscriptions are in files of their own.

use super::error::VBucketError;
use super::locked_vbucket::LockedVBucket;
use super::received_snapshots::ReceivedSnapshots;
use super::roles::role;
use crate::error::CheckpointError;
use crate::internal::sync::{Mutex, MutexGuard, ranks};
use crate::manager::{CheckpointConfig, CheckpointManager, Role};
use crate::model::{FailoverLog, Hlc, Seqno, State, VBucketState, VbUuid, Vbid};
use crate::resume::ResumePoint;

/// One partition of the key space on one node.
#[derive(Debug)]
pub struct VBucket {
    pub(super) id: Vbid,
    pub(super) manager: CheckpointManager,
    locked: Mutex<LockedVBucket>,
}

impl VBucket {
    /// Creates a vBucket of which nothing was ever persisted, in the state of [`VBucketState::new`].
    ///
    /// A vBucket that a store holds is restored by [`VBucket::recover`]. `config.role` is ignored:
    /// the state decides.
    #[must_use]
    pub fn new(id: Vbid, state: &VBucketState, config: CheckpointConfig) -> Self {
        Self::on_disk(id, state, Seqno::ZERO, config)
    }

    /// Creates a vBucket that has `high` on disk, committed with `persisted`. A snapshot of which only
    /// a part is on disk is not open yet.
    pub(super) fn on_disk(
        id: Vbid,
        persisted: &VBucketState,
        high: Seqno,
        config: CheckpointConfig,
    ) -> Self {
        let manager = CheckpointManager::new(
            CheckpointConfig {
                role: role(persisted.state),
                ..config
            },
            high,
        );
        Self {
            id,
            manager,
            locked: Mutex::new(
                ranks::VBUCKET,
                LockedVBucket {
                    current: persisted.clone(),
                    clock: Hlc::starting_at(persisted.max_cas),
                    received: ReceivedSnapshots::on_disk(persisted, high),
                    must_branch: false,
                    active_since: high,
                    subscribers: Vec::new(),
                },
            ),
        }
    }

    /// Returns the number.
    #[must_use]
    pub fn id(&self) -> Vbid {
        self.id
    }

    /// Returns the checkpoint manager.
    #[must_use]
    pub fn manager(&self) -> &CheckpointManager {
        &self.manager
    }

    /// Returns the role on this node.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().current.state
    }

    /// Returns the branches of the history.
    #[must_use]
    pub fn failover_log(&self) -> FailoverLog {
        self.lock().current.failover_log.clone()
    }

    /// Returns the newest branch of the history. O(1), unlike the whole log.
    #[must_use]
    pub fn branch(&self) -> VbUuid {
        self.lock().current.failover_log.newest().uuid
    }

    /// Returns the last seqno.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        self.manager.high_seqno()
    }

    /// Returns the seqno up to which all prepares are committed or aborted.
    #[must_use]
    pub fn high_completed_seqno(&self) -> Seqno {
        self.lock().current.high_completed_seqno
    }

    /// Returns the seqno up to which tombstones were already missing from the disk snapshots that
    /// this copy was built from.
    #[must_use]
    pub fn purge_seqno(&self) -> Seqno {
        self.lock().current.purge_seqno
    }

    /// Replaces the failover log with that of the vBucket's active.
    pub fn set_failover_log(&self, log: FailoverLog) {
        let mut locked = self.lock();
        locked.current.failover_log = log;
        locked.must_branch = false;
    }

    /// Returns whether the vBucket can lead only on a branch of its own
    /// ([`VBucketError::NeedsBranch`]).
    ///
    /// That is so if it was active before an unclean stop and has not followed another active since.
    #[must_use]
    pub fn needs_branch(&self) -> bool {
        self.lock().must_branch
    }

    /// Returns the resume point for the request that resumes the vBucket's stream.
    ///
    /// A partial snapshot is given from its start on, which is the end of the last complete one. The
    /// items missing below its last seqno may have been replaced on a branch that was lost.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        let locked = self.lock();
        let uuid = locked.current.failover_log.newest().uuid;
        let seqno = self.manager.high_seqno();
        let ReceivedSnapshots {
            complete,
            snapshot_end,
        } = locked.received;
        if role(locked.current.state) == Role::Active || complete == seqno {
            return ResumePoint::whole(uuid, seqno);
        }
        ResumePoint {
            uuid,
            seqno,
            snapshot_start: complete,
            snapshot_end,
        }
    }

    /// Returns an error unless the vBucket is in a state that `accepts` accepts.
    pub(super) fn require(
        &self,
        locked: &LockedVBucket,
        accepts: impl Fn(State) -> bool,
    ) -> Result<(), VBucketError> {
        let state = locked.current.state;
        if accepts(state) {
            Ok(())
        } else {
            Err(VBucketError::WrongState { vb: self.id, state })
        }
    }

    /// Wraps an error of the checkpoint manager.
    pub(super) fn checkpoint_error(&self, source: CheckpointError) -> VBucketError {
        VBucketError::Checkpoint {
            vb: self.id,
            source,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LockedVBucket> {
        self.locked.lock()
    }
}

//! A vBucket comes back from its store, after a stop that was in order or one that was not.
//!
//! What always holds (C29): one that was active when its process ended, and not in order, leads again only on a branch of its
//! own. What it told its readers before may be lost here, and the branch is how they learn of it. It can't be forgotten:
//! [`VBucket::recover`] asks how the process ended, and takes the branch's name where one may be needed.

use super::{Inner, Received, VBucket, is_half, role};
use crate::hlc::Hlc;
use crate::sync::Mutex;
use crate::{
    CheckpointConfig, CheckpointManager, Seqno, State, VBucketError, VBucketState, VbUuid, Vbid,
};

/// How the process ended that had a vBucket before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStop {
    /// In order: everything the vBucket had was flushed after the last reader was served.
    Orderly,
    /// Any other way, or nobody knows. Readers may have had what is not on disk.
    Unclean {
        /// Names the branch that the vBucket begins if it becomes active now. No other branch may have the name: hosts draw it
        /// at random.
        uuid: VbUuid,
    },
}

impl VBucket {
    /// A vBucket with what was persisted of it, `high` being its highest seqno on disk, in the role it now has.
    ///
    /// One that becomes active goes on with the branch it is on only after an orderly stop; after any other it begins the branch
    /// that `after` names, at the end of its last whole snapshot, and has its new log to flush. `config.role` is ignored: the
    /// state decides.
    ///
    /// # Errors
    /// [`VBucketError::Branch`] for a uuid that is 0 or that of a branch already; [`VBucketError::HalfSnapshot`] where a copy
    /// that was not active is to go on with its active's branch inside a snapshot; [`VBucketError::NoTransition`] where what
    /// was active is to become pending.
    pub fn recover(
        id: Vbid,
        persisted: &VBucketState,
        high: Seqno,
        becomes: State,
        after: AfterStop,
        config: CheckpointConfig,
    ) -> Result<Self, VBucketError> {
        let uuid = match after {
            AfterStop::Orderly => None,
            AfterStop::Unclean { uuid } => Some(uuid),
        };
        if (persisted.state, becomes) == (State::Active, State::Pending) {
            return Err(VBucketError::NoTransition {
                vb: id,
                from: persisted.state,
                to: becomes,
            });
        }
        let was_active = uuid.is_some() && persisted.state == State::Active;
        // It does not lead until it has begun its branch. One that had not flushed all of the snapshot that it received before it
        // led is inside that snapshot, as if it had never led.
        let has_left = was_active && (becomes == State::Active || is_half(persisted, high));
        let state = if has_left {
            State::Dead
        } else {
            persisted.state
        };
        let vbucket = Self::on_disk(
            id,
            &VBucketState {
                state,
                ..persisted.clone()
            },
            high,
            config,
        );
        vbucket.lock().must_branch = was_active;
        vbucket.set_state(becomes, uuid.filter(|_| becomes == State::Active))?;
        if state == becomes && state != persisted.state {
            // The store has yet to learn of it.
            vbucket.queue_current_state()?;
        }
        Ok(vbucket)
    }

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
        let inner = Inner {
            current: persisted.clone(),
            clock: Hlc::starting_at(persisted.max_cas),
            received: Received::on_disk(persisted, high),
            must_branch: false,
            leads_from: high,
            subscribers: Vec::new(),
        };
        let vbucket = Self {
            id,
            manager,
            inner: Mutex::new(inner),
        };
        vbucket.resume_snapshot(persisted, high);
        vbucket
    }
}

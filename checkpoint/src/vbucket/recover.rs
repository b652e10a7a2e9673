//! Restoring a vBucket from its store, after an orderly or an unclean stop.
//!
//! # Invariants
//! - A vBucket that was active when its process stopped uncleanly leads again only on a branch of
//!   its own (C29). Items that it delivered may be lost here, and the branch tells readers.
//! - The caller cannot forget the branch: [`VBucket::recover`] requires the kind of stop, and the
//!   branch's name after an unclean one.

use super::error::VBucketError;
use super::received_snapshots::is_partial;
use super::vbucket::VBucket;
use crate::manager::CheckpointConfig;
use crate::model::{Seqno, State, VBucketState, VbUuid, Vbid};

/// The way in which the previous process of a vBucket stopped. There is no third one, so a `match`
/// may be exhaustive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStop {
    /// Orderly: everything was flushed after the last reader was served.
    Orderly,
    /// Any other way, or unknown. Readers may have items that are not on disk.
    Unclean {
        /// Name of the branch that the vBucket begins if it becomes active now. No other branch may
        /// have it: hosts draw it at random.
        uuid: VbUuid,
    },
}

impl VBucket {
    /// Restores a vBucket from its persisted state in the role `becomes`. `high` is its highest seqno
    /// on disk.
    ///
    /// A vBucket that becomes active continues its branch only after an orderly stop. After any other
    /// stop it begins the branch that `after` names, at the end of its last whole snapshot. Its new
    /// failover log is then queued for the flusher. `config.role` is ignored: the state decides.
    ///
    /// # Errors
    /// - [`VBucketError::Branch`] for a uuid that is 0 or already names a branch.
    /// - [`VBucketError::HalfSnapshot`] if a copy that was not active would continue its active's
    ///   branch inside a snapshot.
    /// - [`VBucketError::NoTransition`] if an active would become pending.
    /// - [`VBucketError::Checkpoint`] for a persisted snapshot that has no end.
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
        // An unclean active does not lead until it has begun its branch. If it had not flushed the
        // whole snapshot that it received before it led, it is inside that snapshot again.
        let starts_dead = was_active && (becomes == State::Active || is_partial(persisted, high));
        let state = if starts_dead {
            State::Dead
        } else {
            persisted.state
        };
        let restored = VBucketState {
            state,
            ..persisted.clone()
        };
        let vbucket = Self::on_disk(id, &restored, high, config);
        if let Some(partial) = vbucket.partial_snapshot(&restored, high)? {
            vbucket.reopen_snapshot(partial);
        }
        vbucket.lock().must_branch = was_active;
        vbucket.set_state(becomes, uuid.filter(|_| becomes == State::Active))?;
        if state == becomes && state != persisted.state {
            // The store does not have this state yet.
            vbucket.queue_current_state()?;
        }
        Ok(vbucket)
    }
}

//! Lifecycle of vBuckets: creation, warm-up, change of state, rollback and removal.
//!
//! # Invariants
//!
//! - Memory has no vBucket that the engine was not asked to create.
//! - A rollback happens in the engine first and then in memory, and nothing is applied in between
//!   (N3).
//! - A vBucket that was active when its node died continues, if at all, on a new branch.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{
    AfterStop, FailoverLog, Seqno, State, VBucket, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::EngineCall;

use crate::fault::{self, Fault};
use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::Node;
use crate::node::vbuckets::{Observation, Partition, Stored};
use crate::wire::StreamEndReason;

impl Node {
    /// Adds a vBucket of the store, in its current role. `after` says how the previous process
    /// ended.
    ///
    /// # Errors
    /// Same as [`VBucket::recover`].
    pub fn warm_up(
        &mut self,
        vb: Vbid,
        stored: Stored,
        role: State,
        after: AfterStop,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let Stored {
            state,
            high,
            purge,
            prepares,
            collections,
        } = stored;
        self.purged(vb, purge);
        let (is_new, persisted) = match (state, after) {
            (Some(state), _) => (false, state),
            // Without a commit its history starts here.
            (None, AfterStop::Unclean { uuid }) => (
                true,
                VBucketState::new(State::Replica, FailoverLog::new(uuid)),
            ),
            (None, AfterStop::Orderly) => {
                return Err(NodeError::NotHere {
                    what: "vBucket state",
                });
            }
        };
        let was_active = persisted.state == State::Active;
        let forgets =
            fault::is(Fault::CrashedActiveKeepsItsBranch) && was_active && role == State::Active;
        let after = if is_new || forgets {
            AfterStop::Orderly
        } else {
            after
        };
        let vbucket =
            VBucket::recover(vb, &persisted, high, role, after, self.checkpoint_config())?;
        let partition = Partition::new(vbucket, &self.cache, high, prepares, collections);
        self.insert(partition, &persisted, high);
        let has_branched = role == State::Active && after != AfterStop::Orderly;
        if role != persisted.state || has_branched {
            self.queued(vb, actions);
        }
        Ok(())
    }

    pub(in crate::node) fn create(
        &mut self,
        vb: Vbid,
        uuid: VbUuid,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        if self.partitions.get(vb).is_some() {
            return Ok(());
        }
        let state = VBucketState::new(State::Replica, FailoverLog::new(uuid));
        self.add_vbucket(vb, &state);
        self.call(EngineCall::Create(vb), actions);
        Ok(())
    }

    pub(in crate::node) fn drop_vbucket(
        &mut self,
        vb: Vbid,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        self.require(vb)?;
        self.end_streams(vb, StreamEndReason::StateChanged, actions);
        self.partitions.remove(vb);
        self.purged.remove(&vb);
        self.shards.of_mut(vb).detach(vb);
        self.followed.remove(&vb);
        self.call(EngineCall::Drop(vb), actions);
        Ok(())
    }

    pub(in crate::node) fn set_state(
        &mut self,
        vb: Vbid,
        state: State,
        uuid: Option<VbUuid>,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let partition = self.require(vb)?;
        let before = partition.vbucket.state();
        let log = partition.vbucket.failover_log();
        partition.vbucket.set_state(state, uuid)?;
        if state != before || partition.vbucket.failover_log() != log {
            // Followers of an active must learn of its new branch, too.
            if before == State::Active {
                self.end_streams(vb, StreamEndReason::StateChanged, actions);
            }
            self.queued(vb, actions);
        }
        Ok(())
    }

    /// Rolls a vBucket back to `to`: the active's history differs after it. Returns `true` if the
    /// vBucket is rolled back and then requests its stream again. Otherwise the caller decides.
    pub(in crate::node) fn roll_back(
        &mut self,
        vb: Vbid,
        to: Seqno,
        actions: &mut Vec<Action>,
    ) -> bool {
        self.followed.remove(&vb);
        // An active or dead vBucket is not rolled back: its engine would do it, and memory would
        // refuse.
        let state = self
            .partitions
            .get(vb)
            .map(|partition| partition.vbucket.state());
        let follows = matches!(state, Some(State::Replica | State::Pending));
        if follows && !self.calls.is_unsettled(vb) {
            self.call(EngineCall::Rollback(vb, to), actions);
        }
        follows
    }

    /// Brings memory to where the engine went back to.
    pub(in crate::node) fn rolled_back(
        &mut self,
        vb: Vbid,
        stored: Stored,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let partition = self
            .partitions
            .get_mut(vb)
            .invariant("N7", "a vBucket that was dropped has no earlier call")?;
        let Stored {
            state,
            high,
            purge,
            prepares,
            collections,
        } = stored;
        self.purged.insert(vb, purge);
        let log = partition.vbucket.failover_log();
        // Without a commit the store has no state; memory goes on with its own.
        let persisted = state.unwrap_or_else(|| VBucketState::new(partition.vbucket.state(), log));
        partition.vbucket.rollback(high, &persisted)?;
        partition.documents.clear(high);
        let documents = &mut partition.documents;
        prepares.into_iter().for_each(|item| documents.put(item));
        partition.collections = collections;
        // The store has an old failover log; the next flush writes the current one.
        partition.vbucket.queue_current_state()?;
        self.shards.of_mut(vb).attach(vb, persisted, high);
        self.hold_if_unsettled(vb, actions);
        self.end_streams(vb, StreamEndReason::Rollback, actions);
        self.partitions
            .observe(|| Observation::RolledBack { vb, seqno: high });
        actions.push(Action::RolledBack { vb, seqno: high });
        self.queued(vb, actions);
        Ok(())
    }
}

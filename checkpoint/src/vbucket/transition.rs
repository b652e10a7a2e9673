//! Changes of a vBucket's state, and of its clock by hand.
//!
//! | from \\ to | active | replica | pending | dead |
//! |---|---|---|---|---|
//! | active | a new branch with a uuid, otherwise no change | yes | no | yes |
//! | replica, pending, dead | yes (1) | yes | yes | yes |
//!
//! (1) On a branch of its own, or on its active's branch if its last snapshot is complete.
//!
//! Each change is an item in the queue, so that the flusher has something to commit and readers learn
//! of it in order.
//!
//! # Invariants
//! - A branch starts at the end of the last whole snapshot, or at the high seqno of a vBucket that was
//!   active itself. A refused change leaves no trace (C23).
//! - A uuid is never dropped: it names a branch or is refused (C29).

use super::error::VBucketError;
use super::locked_vbucket::LockedVBucket;
use super::received_snapshots::ReceivedSnapshots;
use super::roles::role;
use super::vbucket::VBucket;
use crate::fault::{self, Fault};
use crate::model::{Cas, Item, Key, Operation, State, VbUuid};

impl VBucket {
    /// Changes the state.
    ///
    /// - A vBucket that becomes active starts a branch named `uuid` at the end of its last whole
    ///   snapshot. With `None` (a planned takeover) it continues its branch.
    /// - An active that stays active starts a branch named `uuid` at its high seqno, unless it is on
    ///   that branch already.
    /// - Any other vBucket that keeps its state does not change.
    /// - A vBucket that dies or stops being active ends its subscriptions.
    ///
    /// # Errors
    /// - [`VBucketError::NoTransition`] from active to pending.
    /// - [`VBucketError::NoBranch`] for a uuid with a state that begins no branch.
    /// - [`VBucketError::NeedsBranch`] for no uuid after an unclean stop ([`VBucket::recover`]).
    /// - [`VBucketError::HalfSnapshot`] for a takeover inside a snapshot.
    /// - [`VBucketError::Branch`] for a uuid that is 0 or already names a branch.
    pub fn set_state(&self, state: State, uuid: Option<VbUuid>) -> Result<(), VBucketError> {
        let mut locked = self.lock();
        let before = locked.current.state;
        if (before, state) == (State::Active, State::Pending) {
            return Err(VBucketError::NoTransition {
                vb: self.id,
                from: before,
                to: state,
            });
        }
        if let Some(uuid) = uuid.filter(|_| state != State::Active) {
            return Err(VBucketError::NoBranch {
                vb: self.id,
                state,
                uuid,
            });
        }
        if state == before {
            return self.begin_branch(&mut locked, uuid);
        }
        if state == State::Active {
            self.promote(&mut locked, uuid)?;
            locked.active_since = self.manager.high_seqno();
        }
        if before == State::Active {
            // Everything written here is history, whatever snapshot it once began in.
            locked.received = ReceivedSnapshots::whole(self.manager.high_seqno());
        }
        if state == State::Dead || before == State::Active {
            // Ended before the change is queued, so that subscribers learn of it first.
            for subscriber in locked.subscribers.drain(..) {
                subscriber.end(state);
            }
        }
        if role(before) != role(state) {
            let completed = locked.current.high_completed_seqno;
            self.manager.set_role_after(role(state), completed);
        }
        locked.current.state = state;
        let cas = locked.clock.max();
        self.queue_state(state, cas)
    }

    /// Sets the highest CAS, also to a lower value, for a clock that a revision from elsewhere has
    /// moved far into the future.
    ///
    /// From here on CAS order is seqno order again. An earlier revision may have a higher CAS.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] unless active: any other vBucket takes CAS values as received.
    pub fn force_max_cas(&self, cas: Cas) -> Result<(), VBucketError> {
        let mut locked = self.lock();
        self.require(&locked, |state| state == State::Active)?;
        locked.clock.set(cas);
        locked.current.max_cas = cas;
        self.queue_state(State::Active, cas)
    }

    /// Queues the current state, so that the flusher commits it without any other write.
    ///
    /// This is needed after a rollback, whose failover log the store does not have yet, and after an
    /// active's log was adopted.
    ///
    /// # Errors
    /// [`VBucketError::Checkpoint`] if the manager refuses the item.
    pub fn queue_current_state(&self) -> Result<(), VBucketError> {
        let locked = self.lock();
        self.queue_state(locked.current.state, locked.clock.max())
    }

    /// Starts another branch on an active, at its high seqno: everything it has is history already.
    fn begin_branch(
        &self,
        locked: &mut LockedVBucket,
        uuid: Option<VbUuid>,
    ) -> Result<(), VBucketError> {
        let newest = locked.current.failover_log.newest().uuid;
        let Some(uuid) = uuid.filter(|&uuid| uuid != newest) else {
            return Ok(());
        };
        let branched = locked
            .current
            .failover_log
            .branch(uuid, self.manager.high_seqno());
        branched.map_err(|source| VBucketError::Branch {
            vb: self.id,
            source,
        })?;
        self.queue_state(State::Active, locked.clock.max())
    }

    /// Starts the branch of a vBucket that becomes active, or checks that it may continue its own.
    fn promote(
        &self,
        locked: &mut LockedVBucket,
        uuid: Option<VbUuid>,
    ) -> Result<(), VBucketError> {
        let high = self.manager.high_seqno();
        let ReceivedSnapshots {
            mut complete,
            snapshot_end,
        } = locked.received;
        if fault::is(Fault::BranchInsideASnapshot) {
            complete = high;
        }
        match uuid {
            Some(uuid) => {
                let branched = locked.current.failover_log.branch(uuid, complete);
                branched.map_err(|source| VBucketError::Branch {
                    vb: self.id,
                    source,
                })?;
                locked.must_branch = false;
                Ok(())
            }
            None if locked.must_branch => Err(VBucketError::NeedsBranch { vb: self.id }),
            None if complete == high => Ok(()),
            None => Err(VBucketError::HalfSnapshot {
                vb: self.id,
                high,
                snapshot_end,
            }),
        }
    }

    /// Queues a change of state. It carries the highest CAS, because the last one in a batch decides.
    fn queue_state(&self, state: State, cas: Cas) -> Result<(), VBucketError> {
        let item = Item {
            cas,
            ..Item::new(Operation::SetVBucketState(state), Key::new(b""))
        };
        self.manager
            .queue(item)
            .map(drop)
            .map_err(|source| self.checkpoint_error(source))
    }
}

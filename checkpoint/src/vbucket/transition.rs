//! Changes of a vBucket's state, and of its clock by hand.
//!
//! | from \\ to | active | replica | pending | dead |
//! |---|---|---|---|---|
//! | active | with a uuid a new branch, or nothing happens | yes | no | yes |
//! | replica, pending, dead | yes, on a branch of its own or, with all of its last snapshot, on its active's | yes | yes | yes |
//!
//! Each change is an item in the queue, so that the flusher has something to commit and readers learn of it in order.
//! What always holds (C23): a branch starts at the end of the last whole snapshot, or at the high seqno of one that was
//! active itself; what is refused leaves no trace. A uuid is never dropped: it names a branch, or is refused (C29).

use super::{Inner, Received, VBucket, role};
use crate::fault::{self, Fault};
use crate::{Cas, Item, Key, Operation, State, VBucketError, VbUuid};

impl VBucket {
    /// Changes its role. One that becomes active starts a branch named `uuid` at the end of its last whole snapshot;
    /// `uuid` being `None` (a planned takeover) it goes on with the branch it is on. One that is active already starts a branch
    /// named `uuid` at its high seqno, unless it is on that branch. To become what it is changes nothing else. One that dies or
    /// stops being active ends its subscriptions.
    ///
    /// # Errors
    /// [`VBucketError::NoTransition`] from active to pending; [`VBucketError::NoBranch`] for a uuid where none is needed;
    /// [`VBucketError::NeedsBranch`] for none where [`VBucket::recover`] says that one is; [`VBucketError::HalfSnapshot`] for
    /// a takeover inside a snapshot; [`VBucketError::Branch`] for a uuid that is 0 or that of a branch already.
    pub fn set_state(&self, state: State, uuid: Option<VbUuid>) -> Result<(), VBucketError> {
        let mut inner = self.lock();
        let before = inner.current.state;
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
            return self.begin_branch(&mut inner, uuid);
        }
        if state == State::Active {
            self.promote(&mut inner, uuid)?;
            inner.leads_from = self.manager.high_seqno();
        }
        if before == State::Active {
            // What was written here is history, whatever snapshot it once began in.
            inner.received = Received::whole(self.manager.high_seqno());
        }
        if state == State::Dead || before == State::Active {
            // First, so that they learn of it before they read of it.
            for subscriber in inner.subscribers.drain(..) {
                subscriber.end(state);
            }
        }
        if role(before) != role(state) {
            self.manager.set_role(role(state));
        }
        inner.current.state = state;
        let cas = inner.clock.max();
        self.queue_state(state, cas)
    }

    /// Sets the highest CAS, also back: for a clock that some revision from elsewhere has taken far into the future.
    /// From here on CAS order is seqno order again; a revision from before may have a higher one.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] unless active: everybody else takes CAS values as they come.
    pub fn force_max_cas(&self, cas: Cas) -> Result<(), VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, |state| state == State::Active)?;
        inner.clock.set(cas);
        inner.current.max_cas = cas;
        self.queue_state(State::Active, cas)
    }

    /// Queues the state as it is, so that the flusher commits it though nothing else was written: after a rollback, whose
    /// failover log the store does not have yet, or when an active's log was adopted.
    ///
    /// # Errors
    /// [`VBucketError::Checkpoint`] as the manager refuses.
    pub fn queue_current_state(&self) -> Result<(), VBucketError> {
        let inner = self.lock();
        self.queue_state(inner.current.state, inner.clock.max())
    }

    /// It stays active, on another branch: what it has is history already.
    fn begin_branch(&self, inner: &mut Inner, uuid: Option<VbUuid>) -> Result<(), VBucketError> {
        let newest = inner.current.failover_log.newest().uuid;
        let Some(uuid) = uuid.filter(|&uuid| uuid != newest) else {
            return Ok(());
        };
        let branched = inner
            .current
            .failover_log
            .branch(uuid, self.manager.high_seqno());
        branched.map_err(|source| VBucketError::Branch {
            vb: self.id,
            source,
        })?;
        self.queue_state(State::Active, inner.clock.max())
    }

    fn promote(&self, inner: &mut Inner, uuid: Option<VbUuid>) -> Result<(), VBucketError> {
        let (
            high,
            Received {
                mut complete,
                snapshot_end,
            },
        ) = (self.manager.high_seqno(), inner.received);
        if fault::is(Fault::BranchInsideASnapshot) {
            complete = high;
        }
        match uuid {
            Some(uuid) => {
                let branched = inner.current.failover_log.branch(uuid, complete);
                branched.map_err(|source| VBucketError::Branch {
                    vb: self.id,
                    source,
                })?;
                inner.must_branch = false;
                Ok(())
            }
            None if inner.must_branch => Err(VBucketError::NeedsBranch { vb: self.id }),
            None if complete == high => Ok(()),
            None => Err(VBucketError::HalfSnapshot {
                vb: self.id,
                high,
                snapshot_end,
            }),
        }
    }

    /// Carries the highest CAS as well: the last one in a batch decides.
    fn queue_state(&self, state: State, cas: Cas) -> Result<(), VBucketError> {
        let item = Item {
            cas,
            ..Item::new(Operation::SetVBucketState(state), Key::new(b""))
        };
        self.manager
            .queue(item)
            .map(drop)
            .map_err(|source| self.refused(source))
    }
}

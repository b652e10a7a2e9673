//! One vBucket: its state, its clock, the branches of its history, and its checkpoint manager.
//!
//! Writes of an active and received items of a replica go in; batches come out of the manager, and the state to commit
//! with each of them. What always holds: on an active, CAS order is seqno order, because both are assigned inside one
//! critical section; the state's seqnos never fall on one branch; prepares end in their order (C21). Locks are taken in
//! the order vBucket, manager.

use crate::hlc::Hlc;
use crate::state::Note;
use crate::subscription::Stopper;
use crate::sync::{Mutex, MutexGuard};
use crate::{
    Cas, CheckpointConfig, CheckpointManager, FailoverLog, Item, Queued, ResumePoint, Role, Seqno,
    SnapshotMarker, SnapshotType, State, VBucketState, Vbid,
};

mod error;
mod persist;
mod recover;
mod rollback;
mod subscribe;
mod transition;

pub use error::VBucketError;
pub use recover::AfterStop;

/// A write as its vBucket ordered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its CAS.
    pub cas: Cas,
    /// Its seqno, and what it replaced.
    pub queued: Queued,
}

/// One partition of the key space on one node.
#[derive(Debug)]
pub struct VBucket {
    id: Vbid,
    manager: CheckpointManager,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// As it would be committed if everything queued were durable; the snapshot range is in `received`.
    current: VBucketState,
    clock: Hlc,
    received: Received,
    /// It was active when its process ended, and not in order: what it told others may be lost here. To lead again it must
    /// begin a branch, unless it has followed another meanwhile.
    must_branch: bool,
    /// Its high seqno when it last became active: what it had received up to there is its own history from then on.
    leads_from: Seqno,
    /// Ended when it stops serving.
    subscribers: Vec<Stopper>,
}

/// How far a replica is in the snapshots it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Received {
    /// End of the last snapshot it has all of: the place to go back to without losing anything whole.
    complete: Seqno,
    /// End of the snapshot its last item belongs to.
    snapshot_end: Seqno,
}

impl Received {
    /// Where one stands that has `high` on disk, committed with `state`.
    fn on_disk(state: &VBucketState, high: Seqno) -> Self {
        if is_half(state, high) {
            Self {
                complete: state.snapshot_start,
                snapshot_end: state.snapshot_end,
            }
        } else {
            Self::whole(high)
        }
    }

    fn whole(high: Seqno) -> Self {
        Self {
            complete: high,
            snapshot_end: high,
        }
    }
}

impl VBucket {
    /// A vBucket of which nothing was ever persisted, in the state of [`VBucketState::new`]. One that a store has comes back by
    /// [`VBucket::recover`]. `config.role` is ignored: the state decides.
    #[must_use]
    pub fn new(id: Vbid, state: &VBucketState, config: CheckpointConfig) -> Self {
        Self::on_disk(id, state, Seqno::ZERO, config)
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> Vbid {
        self.id
    }

    /// Its checkpoint manager.
    #[must_use]
    pub fn manager(&self) -> &CheckpointManager {
        &self.manager
    }

    /// Its role on this node.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().current.state
    }

    /// The branches of its history.
    #[must_use]
    pub fn failover_log(&self) -> FailoverLog {
        self.lock().current.failover_log.clone()
    }

    /// The last seqno it has.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        self.manager.high_seqno()
    }

    /// All prepares up to this one are committed or aborted.
    #[must_use]
    pub fn high_completed_seqno(&self) -> Seqno {
        self.lock().current.high_completed_seqno
    }

    /// Tombstones up to there were gone already from the snapshots from disk that it was made of.
    #[must_use]
    pub fn purge_seqno(&self) -> Seqno {
        self.lock().current.purge_seqno
    }

    /// Takes a write at `now` (nanoseconds since the epoch), assigning its seqno and CAS.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] unless active; [`VBucketError::CompletionOutOfOrder`] for a commit or abort of the
    /// wrong prepare; [`VBucketError::ClockExhausted`]; [`VBucketError::Checkpoint`] as the manager refuses.
    pub fn write(&self, mut item: Item, now: u64) -> Result<Written, VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, |state| state == State::Active)?;
        if Note::of(&item).is_completion() {
            self.require_next_completion(&inner, &item, self.manager.high_seqno().next())?;
        }
        let clock_before = inner.clock;
        item.cas = inner
            .clock
            .next(now)
            .ok_or(VBucketError::ClockExhausted { vb: self.id })?;
        let (cas, note) = (item.cas, Note::of(&item));
        match self.manager.queue(item) {
            Ok(queued) => {
                inner
                    .current
                    .take_note(note, queued.seqno, SnapshotType::Memory);
                Ok(Written { cas, queued })
            }
            Err(source) => {
                inner.clock = clock_before;
                Err(self.refused(source))
            }
        }
    }

    /// Takes an item of the snapshot being received.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on an active or dead vBucket; [`VBucketError::CompletionOutOfOrder`] for a commit or
    /// abort of the wrong prepare, unless it comes from disk; [`VBucketError::Checkpoint`] for a seqno that is out of
    /// order or outside the snapshot.
    pub fn receive(&self, item: Item) -> Result<Queued, VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, follows)?;
        let note = Note::of(&item);
        if note.is_completion() && !self.manager.open_range().snapshot_type.is_disk() {
            self.require_next_completion(&inner, &item, item.seqno)?;
        }
        let queued = self
            .manager
            .queue(item)
            .map_err(|source| self.refused(source))?;
        let range = self.manager.open_range();
        inner
            .current
            .take_note(note, queued.seqno, range.snapshot_type);
        inner.clock.observe(note.cas);
        // A vBucket state uses up no seqno: it has not come to the one it carries.
        if note.operation.namespace().is_none() {
            return Ok(queued);
        }
        // Of a snapshot's part, too: what its sender had purged is missing in it, and the rest may never come.
        let purged = range.purge_seqno.unwrap_or_default().min(queued.seqno);
        inner.current.purge_seqno = inner.current.purge_seqno.max(purged);
        inner.received.snapshot_end = range.end;
        if queued.seqno == range.end {
            inner.received.complete = range.end;
            let completed = range.high_completed_seqno.unwrap_or_default();
            inner.current.high_completed_seqno = inner.current.high_completed_seqno.max(completed);
        }
        Ok(queued)
    }

    /// Takes the marker of the next snapshot.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on an active or dead vBucket; [`VBucketError::CompletedFalls`] if what it has
    /// completed was completed here before; [`VBucketError::Checkpoint`] for a marker that makes no sense.
    pub fn receive_marker(&self, marker: SnapshotMarker) -> Result<(), VBucketError> {
        let inner = self.lock();
        self.require(&inner, follows)?;
        let high_completed = inner.current.high_completed_seqno;
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
            .map_err(|source| self.refused(source))
    }

    /// Replaces the failover log by its active's.
    pub fn set_failover_log(&self, log: FailoverLog) {
        let mut inner = self.lock();
        inner.current.failover_log = log;
        inner.must_branch = false;
    }

    /// Whether it leads from now on only on a branch of its own: it was active before an unclean stop, and has not followed
    /// anybody since ([`VBucketError::NeedsBranch`]).
    #[must_use]
    pub fn needs_branch(&self) -> bool {
        self.lock().must_branch
    }

    /// Where it stands, for the request that resumes its stream. Half a snapshot is given up from its start on, which is
    /// the end of the last whole one: what it lacks below its last seqno may have been replaced on a branch that was lost.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        let inner = self.lock();
        let (uuid, seqno) = (
            inner.current.failover_log.newest().uuid,
            self.manager.high_seqno(),
        );
        let Received {
            complete,
            snapshot_end,
        } = inner.received;
        if role(inner.current.state) == Role::Active || complete == seqno {
            return ResumePoint::whole(uuid, seqno);
        }
        ResumePoint {
            uuid,
            seqno,
            snapshot_start: complete,
            snapshot_end,
        }
    }

    fn require(&self, inner: &Inner, accepts: impl Fn(State) -> bool) -> Result<(), VBucketError> {
        let state = inner.current.state;
        if accepts(state) {
            Ok(())
        } else {
            Err(VBucketError::WrongState { vb: self.id, state })
        }
    }

    /// Durable writes end in the order they began: the next one to end lies above all that have, and below its end.
    fn require_next_completion(
        &self,
        inner: &Inner,
        item: &Item,
        seqno: Seqno,
    ) -> Result<(), VBucketError> {
        let (prepare_seqno, high_completed) =
            (item.prepare_seqno, inner.current.high_completed_seqno);
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

    fn refused(&self, source: crate::CheckpointError) -> VBucketError {
        VBucketError::Checkpoint {
            vb: self.id,
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

/// Whether a store that has `high`, committed with `state`, has only a part of its last snapshot.
fn is_half(state: &VBucketState, high: Seqno) -> bool {
    state.snapshot_start <= high && high < state.snapshot_end
}

/// Replicas and pending vBuckets take snapshots.
fn follows(state: State) -> bool {
    matches!(state, State::Replica | State::Pending)
}

fn role(state: State) -> Role {
    if state == State::Active {
        Role::Active
    } else {
        Role::Replica
    }
}

#[cfg(test)]
mod tests;

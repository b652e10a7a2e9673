//! One vBucket: its state, its clock, the branches of its history, and its checkpoint manager.
//!
//! Writes of an active and received items of a replica go in; batches come out of the manager, and the state to commit
//! with each of them. What always holds: on an active, CAS order is seqno order, because both are assigned inside one
//! critical section; the state's seqnos never fall on one branch. Locks are taken in the order vBucket, manager.

use crate::hlc::Hlc;
use crate::state::Note;
use crate::sync::Mutex;
use crate::{
    Batch, Cas, CheckpointConfig, CheckpointError, CheckpointManager, FailoverLog, Item, Queued, Role, Seqno,
    SnapshotMarker, State, VBucketState, VbUuid, Vbid,
};

/// Why a vBucket refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VBucketError {
    /// Writes go to the active, snapshots to replicas and pending ones.
    #[error("vBucket {vb} is {state}")]
    WrongState {
        /// The vBucket.
        vb: Vbid,
        /// What it is.
        state: State,
    },
    /// Its checkpoint manager refused.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        source: CheckpointError,
    },
}

/// Where a replica stands: what it asks its active to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The branch it is on.
    pub uuid: VbUuid,
    /// The last seqno it has.
    pub seqno: Seqno,
    /// Start of the snapshot that seqno belongs to.
    pub snapshot_start: Seqno,
    /// End of that snapshot; equal to `seqno` when it has all of it.
    pub snapshot_end: Seqno,
}

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
    /// As it would be committed if everything queued were durable; the snapshot range is the manager's.
    current: VBucketState,
    clock: Hlc,
    /// End of the last snapshot a replica has all of.
    complete: Seqno,
}

impl VBucket {
    /// A vBucket with what was persisted of it, `high` being its highest seqno on disk; a new one has
    /// [`VBucketState::new`] and 0. `config.role` is ignored: the state decides.
    #[must_use]
    pub fn new(id: Vbid, persisted: &VBucketState, high: Seqno, config: CheckpointConfig) -> Self {
        let manager =
            CheckpointManager::new(CheckpointConfig { role: role(persisted.state), ..config }, high);
        resume_snapshot(&manager, persisted, high);
        let complete = if persisted.snapshot_end == high { high } else { persisted.snapshot_start };
        let inner =
            Inner { current: persisted.clone(), clock: Hlc::starting_at(persisted.max_cas), complete };
        Self { id, manager, inner: Mutex::new(inner) }
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
        self.inner.lock().current.state
    }

    /// The branches of its history.
    #[must_use]
    pub fn failover_log(&self) -> FailoverLog {
        self.inner.lock().current.failover_log.clone()
    }

    /// The last seqno it has.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        self.manager.high_seqno()
    }

    /// Takes a write at `now` (nanoseconds since the epoch), assigning its seqno and CAS.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] unless active; [`VBucketError::Checkpoint`] as the manager refuses.
    pub fn write(&self, mut item: Item, now: u64) -> Result<Written, VBucketError> {
        let mut inner = self.inner.lock();
        self.require(&inner, |state| state == State::Active)?;
        let clock_before = inner.clock;
        item.cas = inner.clock.next(now);
        let (cas, note) = (item.cas, Note::of(&item));
        match self.manager.queue(item) {
            Ok(queued) => {
                inner.current.take_note(note, queued.seqno);
                Ok(Written { cas, queued })
            }
            Err(source) => {
                inner.clock = clock_before;
                Err(VBucketError::Checkpoint { vb: self.id, source })
            }
        }
    }

    /// Takes an item of the snapshot being received.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on an active or dead vBucket; [`VBucketError::Checkpoint`] for a seqno that is
    /// out of order or outside the snapshot.
    pub fn receive(&self, item: Item) -> Result<Queued, VBucketError> {
        let mut inner = self.inner.lock();
        self.require(&inner, follows)?;
        let note = Note::of(&item);
        let queued =
            self.manager.queue(item).map_err(|source| VBucketError::Checkpoint { vb: self.id, source })?;
        inner.current.take_note(note, queued.seqno);
        inner.clock.observe(note.cas);
        if queued.seqno == self.manager.open_range().end {
            inner.complete = queued.seqno;
        }
        Ok(queued)
    }

    /// Takes the marker of the next snapshot.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on an active or dead vBucket; [`VBucketError::Checkpoint`] for a marker that
    /// makes no sense.
    pub fn receive_marker(&self, marker: SnapshotMarker) -> Result<(), VBucketError> {
        let inner = self.inner.lock();
        self.require(&inner, follows)?;
        self.manager.snapshot(marker).map_err(|source| VBucketError::Checkpoint { vb: self.id, source })
    }

    /// Replaces the failover log by its active's.
    pub fn set_failover_log(&self, log: FailoverLog) {
        self.inner.lock().current.failover_log = log;
    }

    /// Changes its role. One that becomes active starts a branch named `uuid` at the end of its last complete
    /// snapshot; one that was active already, or `uuid` being `None` (a planned takeover), goes on with the branch.
    ///
    /// # Panics
    /// If `uuid` is 0.
    pub fn set_state(&self, state: State, uuid: Option<VbUuid>) {
        let mut inner = self.inner.lock();
        let before = inner.current.state;
        if let (true, Some(uuid)) = (state == State::Active && before != State::Active, uuid) {
            let complete = inner.complete;
            inner.current.failover_log.branch(uuid, complete);
        }
        if role(before) != role(state) {
            self.manager.set_role(role(state));
        }
        inner.current.state = state;
    }

    /// Gives up everything after `seqno`, in memory: `persisted` is what its store was rolled back to. Cursors stay and
    /// stand at `seqno`; a flush in progress is void. The failover log keeps the branches that begin at or below.
    pub fn rollback(&self, seqno: Seqno, persisted: &VBucketState) {
        let mut inner = self.inner.lock();
        let (state, mut failover_log) = (inner.current.state, inner.current.failover_log.clone());
        failover_log.prune(seqno);
        inner.current = VBucketState { state, failover_log, ..persisted.clone() };
        inner.complete = seqno;
        self.manager.clear(seqno);
    }

    /// Where it stands, for the request that resumes its stream.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        let inner = self.inner.lock();
        let (seqno, range) = (self.manager.high_seqno(), self.manager.open_range());
        let uuid = inner.current.failover_log.newest().uuid;
        if role(inner.current.state) == Role::Active || seqno >= range.end || seqno < range.start {
            return ResumePoint { uuid, seqno, snapshot_start: seqno, snapshot_end: seqno };
        }
        ResumePoint { uuid, seqno, snapshot_start: range.start.min(seqno), snapshot_end: range.end }
    }

    /// What to commit with `batch`, after which `previous` was committed.
    #[must_use]
    pub fn state_with(&self, batch: &Batch, previous: &VBucketState) -> VBucketState {
        let current = self.inner.lock().current.clone();
        let mut next = VBucketState {
            state: current.state,
            failover_log: current.failover_log,
            replication_topology: current.replication_topology,
            ..previous.clone()
        };
        let mut high = None;
        for item in batch.items().filter(|item| item.operation.namespace().is_some()) {
            high = Some(item.seqno);
            next.take_note(Note::of(item), item.seqno);
        }
        let (Some(high), Some(last)) = (high, batch.ranges().last()) else { return next };
        next.snapshot_type = last.snapshot_type;
        next.high_prepared_seqno = next.high_prepared_seqno.max(last.high_prepared_seqno.unwrap_or_default());
        if role(next.state) == Role::Active {
            (next.snapshot_start, next.snapshot_end) = (high, high);
            return next;
        }
        next.snapshot_end = last.end;
        for complete in batch.ranges().iter().filter(|range| range.end <= high) {
            next.snapshot_start = next.snapshot_start.max(complete.end);
            if complete.snapshot_type.is_disk() {
                let completed = complete.high_completed_seqno.unwrap_or_default();
                next.high_completed_seqno = next.high_completed_seqno.max(completed);
            }
        }
        next
    }

    fn require(&self, inner: &Inner, accepts: impl Fn(State) -> bool) -> Result<(), VBucketError> {
        let state = inner.current.state;
        if accepts(state) { Ok(()) } else { Err(VBucketError::WrongState { vb: self.id, state }) }
    }
}

/// A replica that has half of a snapshot on disk is still inside it.
fn resume_snapshot(manager: &CheckpointManager, persisted: &VBucketState, high: Seqno) {
    let is_half = persisted.snapshot_start <= high && high < persisted.snapshot_end;
    if role(persisted.state) == Role::Active || !is_half {
        return;
    }
    let marker = SnapshotMarker {
        high_completed_seqno: Some(persisted.high_completed_seqno),
        ..SnapshotMarker::new(persisted.snapshot_type, persisted.snapshot_start, persisted.snapshot_end)
    };
    let resumed = manager.snapshot(marker);
    debug_assert_eq!(resumed, Ok(()), "it starts at or below the high seqno and ends above it");
}

/// Replicas and pending vBuckets take snapshots.
fn follows(state: State) -> bool {
    matches!(state, State::Replica | State::Pending)
}

fn role(state: State) -> Role {
    if state == State::Active { Role::Active } else { Role::Replica }
}

#[cfg(test)]
mod tests;

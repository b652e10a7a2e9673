//! The public handle of a manager: it takes the lock, runs one operation, and publishes its result.
//!
//! Every method is one critical section. Section C of `docs/invariants.md` lists what all of them
//! guarantee.

use std::fmt;
use std::sync::Arc;

use super::batch::CursorBatch;
use super::config::{CheckpointConfig, CursorOptions, Role};
use super::cursors::{Cursor, CursorInfo, Registration};
use super::locked_state::LockedState;
use super::operations::{MemoryRecovery, Queued};
use super::read_limit::ReadLimit;
use super::reporting::{CheckpointInfo, CheckpointStats};
use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::internal::sync::{AtomicU64, Ordering, TryMutex, TryMutexGuard, ranks};
use crate::limits::ItemLimits;
use crate::model::{Item, Seqno, SnapshotMarker, SnapshotRange};
use crate::reclaim::Reclaimer;

/// Keeps one vBucket's recent changes in order, in memory, for any number of cursors.
///
/// Cloning gives another handle on the same manager.
#[derive(Clone)]
pub struct CheckpointManager {
    pub(super) shared: Arc<Shared>,
}

/// The manager behind all of its handles.
pub(super) struct Shared {
    pub(super) state: TryMutex<LockedState>,
    reclaimer: Option<Reclaimer>,
    pub(super) epoch: Epoch,
    /// Number of rollbacks so far.
    pub(super) rollbacks: AtomicU64,
}

/// The epoch as of the last critical section, on a cache line of its own: readers poll it.
#[repr(align(64))]
pub(super) struct Epoch(pub(super) AtomicU64);

impl CheckpointManager {
    /// Creates a manager with one empty open checkpoint, whose last seqno is `high`.
    #[must_use]
    pub fn new(config: CheckpointConfig, high: Seqno) -> Self {
        Self {
            shared: Arc::new(Shared {
                reclaimer: config.reclaimer.clone(),
                state: TryMutex::new(ranks::MANAGER, LockedState::new(config, high)),
                epoch: Epoch(AtomicU64::new(0)),
                rollbacks: AtomicU64::new(0),
            }),
        }
    }

    /// Queues an operation. An active assigns its seqno, a replica checks the seqno it came with.
    ///
    /// Amortised O(1).
    ///
    /// # Errors
    /// - [`CheckpointError::OutOfOrder`] or [`CheckpointError::OutOfRange`] for a replica's seqno.
    /// - [`CheckpointError::InvalidArgument`] for an active's item that already has a seqno.
    /// - [`CheckpointError::TooLarge`] or [`CheckpointError::ReservedCollection`] for an item beyond
    ///   the limits.
    /// - [`CheckpointError::NoMemory`] on an active while the quota is used up.
    /// - [`CheckpointError::SeqnosUsedUp`] on an active that has had its last seqno.
    pub fn queue(&self, item: Item) -> Result<Queued, CheckpointError> {
        self.with(|state| state.queue_item(item))
    }

    /// Queues operations in one critical section, each like [`CheckpointManager::queue`]. Appends
    /// the results to `queued`.
    ///
    /// The iterator runs under the lock, so it must neither wait nor call a manager or a vBucket.
    ///
    /// # Errors
    /// The error of the first item that is refused. Items before it are queued, items after it are
    /// not.
    pub fn queue_all(
        &self,
        items: impl IntoIterator<Item = Item>,
        queued: &mut Vec<Queued>,
    ) -> Result<(), CheckpointError> {
        self.with(|state| {
            for item in items {
                queued.push(state.queue_item(item)?);
            }
            Ok(())
        })
    }

    /// Closes the open checkpoint and opens the next. A snapshot being received continues in the new
    /// one, and both checkpoints have its range.
    pub fn close(&self) {
        self.with(LockedState::open_next);
    }

    /// Opens the checkpoint that a received marker announces, or extends the open one.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for a marker that is not valid here.
    pub fn snapshot(&self, marker: SnapshotMarker) -> Result<(), CheckpointError> {
        self.with(|state| state.snapshot(marker))
    }

    /// Changes the source of seqnos. Closes the open checkpoint.
    pub fn set_role(&self, role: Role) {
        self.set_role_after(role, Seqno::ZERO);
    }

    /// Like [`CheckpointManager::set_role`], for a vBucket whose durable writes up to `completed` have
    /// ended.
    pub(crate) fn set_role_after(&self, role: Role, completed: Seqno) {
        self.with(|state| state.set_role(role, completed));
    }

    /// Registers a cursor for a consumer that has everything up to `after`, replacing any cursor of
    /// that name. O(log n).
    ///
    /// Backfill is needed exactly if `after` is below the highest seqno that was live when it left
    /// memory.
    ///
    /// # Errors
    /// - [`CheckpointError::NotQueuedYet`] if `after` is above the high seqno.
    /// - [`CheckpointError::InvalidArgument`] if the name is [`PERSISTENCE`](super::PERSISTENCE).
    pub fn register(
        &self,
        name: &str,
        after: Seqno,
        options: CursorOptions,
    ) -> Result<Registration, CheckpointError> {
        self.with(|state| state.register(name, after, options))
    }

    /// Removes a cursor, and checkpoints that only it needed.
    ///
    /// # Errors
    /// - [`CheckpointError::UnknownCursor`] if the cursor is not registered any more.
    /// - [`CheckpointError::InvalidArgument`] for the persistence cursor.
    pub fn unregister(&self, cursor: Cursor) -> Result<(), CheckpointError> {
        self.with(|state| state.unregister(cursor))
    }

    /// Returns the cursor with that name.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Cursor> {
        self.shared.state.lock().cursors.by_name(name)
    }

    /// Reads a batch of whole checkpoints and moves the cursor behind it. O(chunks) under the lock.
    ///
    /// # Errors
    /// - [`CheckpointError::UnknownCursor`] if the cursor is not registered any more.
    /// - [`CheckpointError::InvalidArgument`] for a limit of 0, or for the persistence cursor, which
    ///   only [`CheckpointManager::begin_flush`] moves.
    pub fn read(&self, cursor: Cursor, limit: ReadLimit) -> Result<CursorBatch, CheckpointError> {
        self.with(|state| state.read(cursor, limit))
    }

    /// Returns the number of items ahead of a cursor. O(chunks).
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`] if the cursor is not registered any more.
    pub fn remaining(&self, cursor: Cursor) -> Result<usize, CheckpointError> {
        self.shared.state.lock().remaining(cursor)
    }

    /// Expels the items of the oldest checkpoint that every cursor has passed. Returns their number.
    /// O(chunks) under the lock.
    pub fn expel(&self) -> usize {
        if fault::is(Fault::ExpelInTwoSteps) {
            return self.expel_in_two_steps(LockedState::passed_by_all);
        }
        self.with(LockedState::expel)
    }

    /// The deliberate bugs [`Fault::ExpelInTwoSteps`] and `Fault::DropInTwoSteps`: the lock is
    /// released between the decision and the act.
    #[cold]
    fn expel_in_two_steps(&self, decide: impl FnOnce(&mut LockedState) -> (u64, Seqno)) -> usize {
        let (to, dummy) = self.with(decide);
        self.with(|state| state.expel_to(to, dummy))
    }

    /// Recovers memory until `bytes` are free or nothing more can be freed.
    ///
    /// It closes the open checkpoint, expels, and then drops droppable cursors, the ones furthest
    /// behind first. The consumer of a dropped cursor registers again and learns what to fetch from
    /// disk. O(chunks + cursors) for each cursor dropped.
    pub fn recover_memory(&self, bytes: usize) -> MemoryRecovery {
        #[cfg(checkpoint_loom)]
        if fault::is(Fault::DropInTwoSteps) {
            return MemoryRecovery {
                expelled: self.expel_in_two_steps(LockedState::drop_all),
                ..MemoryRecovery::default()
            };
        }
        self.with(|state| state.recover_memory(bytes))
    }

    /// Rolls back: drops everything and restarts at `high`. Cursors stay and move to `high`. A flush
    /// in progress becomes void.
    pub fn clear(&self, high: Seqno) {
        self.with(|state| {
            state.clear(high);
            // Stored under the lock: a thread that has read an item queued later sees it.
            self.shared
                .rollbacks
                .store(state.rollbacks.count(), Ordering::Release);
        });
    }

    /// Returns the last seqno queued.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        self.shared.state.lock().high
    }

    /// Returns the current range of the open checkpoint.
    #[must_use]
    pub fn open_range(&self) -> SnapshotRange {
        self.shared.state.lock().open.snapshot_range()
    }

    /// Returns every cursor, ordered by name.
    #[must_use]
    pub fn cursors(&self) -> Vec<CursorInfo> {
        self.shared.state.lock().cursor_infos()
    }

    /// Returns every checkpoint, oldest first. O(checkpoints x cursors).
    #[must_use]
    pub fn checkpoints(&self) -> Vec<CheckpointInfo> {
        self.shared.state.lock().checkpoint_infos()
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> CheckpointStats {
        self.shared.state.lock().stats()
    }

    /// Returns the limits that every item satisfies.
    #[must_use]
    pub fn limits(&self) -> ItemLimits {
        self.shared.state.lock().config.limits
    }

    /// Walks everything and returns the violated invariants, none if all hold. O(items) under the
    /// lock.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        self.shared.state.lock().check()
    }

    /// Runs one critical section. The memory that it frees is dropped after it.
    pub(super) fn with<T>(&self, step: impl FnOnce(&mut LockedState) -> T) -> T {
        self.within(self.shared.state.lock(), step)
    }

    /// Same as [`Self::with`], for a lock that is already held.
    pub(super) fn within<T>(
        &self,
        mut state: TryMutexGuard<'_, LockedState>,
        step: impl FnOnce(&mut LockedState) -> T,
    ) -> T {
        let result = step(&mut state);
        let deferred = state.take_deferred();
        // Stored before the items are published: a reader that sees an item queued after a change
        // sees the change. Stored under the lock, so that it never falls.
        let epoch = state.epoch();
        if fault::is(Fault::ItemsBeforeEpoch) {
            state.queue.publish();
        }
        if self.shared.epoch.0.load(Ordering::Relaxed) != epoch {
            self.shared.epoch.0.store(epoch, Ordering::Release);
        }
        state.queue.publish();
        drop(state);
        deferred.run(self.shared.reclaimer.as_ref());
        result
    }
}

impl fmt::Debug for CheckpointManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointManager")
            .field("stats", &self.stats())
            .finish()
    }
}

impl fmt::Display for CheckpointManager {
    /// Writes the queue as a diagram: a line per checkpoint, oldest first, then a line per cursor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.state.lock().write_diagram(f)
    }
}

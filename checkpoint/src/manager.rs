//! The checkpoint manager: operations in, batches out, any number of cursors between.
//!
//! One mutex guards the queue, the checkpoints and the cursors. Every operation is one critical section that leaves
//! all three consistent; what it frees is dropped after the lock is released. See `docs/invariants.md`, C1 to C26.

use std::fmt;
use std::sync::Arc;

use crate::batch::{Batch, ReadLimit};
use crate::cursor::{Cursor, CursorInfo, Progress, Registration};
use crate::fault::{self, Fault};
use crate::reclaimer::Reclaimer;
use crate::sync::{AtomicU64, Ordering, Signal, TryMutex, TryMutexGuard};
use crate::tail::Tail;
use crate::{CheckpointError, Item, ItemLimits, Seqno, SnapshotMarker, SnapshotRange};

mod check;
mod clear;
mod close;
mod config;
mod dedup;
mod expel;
mod flush;
mod inner;
mod queue_item;
mod read;
mod recover;
mod register;
mod rollbacks;
mod show;
mod stats;

pub use config::{CheckpointConfig, Role};
pub use flush::Flush;
pub use queue_item::{Effect, Queued};
pub use recover::Recovered;
pub(crate) use register::{Resumed, Subscriber};
pub use stats::{CheckpointInfo, CheckpointStats};

use inner::Inner;
use read::End;

/// The name of the cursor that feeds the flusher.
pub const PERSISTENCE: &str = "persistence";

/// Keeps one vBucket's recent changes in order, in memory, for any number of cursors.
///
/// Cloning gives another handle on the same manager.
#[derive(Clone)]
pub struct CheckpointManager {
    shared: Arc<Shared>,
}

struct Shared {
    inner: TryMutex<Inner>,
    reclaimer: Option<Reclaimer>,
    epoch: Epoch,
    /// How often it was rolled back.
    rollbacks: AtomicU64,
}

/// The epoch as of the last critical section, on a cache line of its own: readers look at it all the time.
#[repr(align(64))]
struct Epoch(AtomicU64);

impl CheckpointManager {
    /// A manager with one empty open checkpoint, whose last seqno is `high`.
    #[must_use]
    pub fn new(config: CheckpointConfig, high: Seqno) -> Self {
        let reclaimer = config.reclaimer.clone();
        let inner = TryMutex::new(Inner::new(config, high));
        let (epoch, rollbacks) = (Epoch(AtomicU64::new(0)), AtomicU64::new(0));
        Self {
            shared: Arc::new(Shared {
                inner,
                reclaimer,
                epoch,
                rollbacks,
            }),
        }
    }

    /// Queues an operation. An active assigns its seqno, a replica checks the one it came with.
    ///
    /// Amortised O(1).
    ///
    /// # Errors
    /// [`CheckpointError::OutOfOrder`] or [`CheckpointError::OutOfRange`] for a replica's seqno,
    /// [`CheckpointError::InvalidArgument`] for an active's item that has one already.
    pub fn queue(&self, item: Item) -> Result<Queued, CheckpointError> {
        self.with(|inner| inner.queue_item(item))
    }

    /// Queues operations in one critical section, as [`CheckpointManager::queue`] does each; what became of them is
    /// appended to `queued`. The items are taken from their iterator under the lock, so it must not wait.
    ///
    /// # Errors
    /// Of the first item that is refused: those before it are queued, those after it are not.
    pub fn queue_all(
        &self,
        items: impl IntoIterator<Item = Item>,
        queued: &mut Vec<Queued>,
    ) -> Result<(), CheckpointError> {
        self.with(|inner| {
            for item in items {
                queued.push(inner.queue_item(item)?);
            }
            Ok(())
        })
    }

    /// Closes the open checkpoint and opens the next. A snapshot being received goes on in the new one: both then have
    /// its range.
    pub fn close(&self) {
        self.with(Inner::open_next);
    }

    /// Opens the checkpoint a received marker announces, or extends the open one.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for a marker that makes no sense here.
    pub fn snapshot(&self, marker: SnapshotMarker) -> Result<(), CheckpointError> {
        self.with(|inner| inner.snapshot(marker))
    }

    /// Changes who assigns seqnos; the open checkpoint is closed.
    pub fn set_role(&self, role: Role) {
        self.with(|inner| inner.set_role(role));
    }

    /// Registers a cursor for a consumer that has everything up to `after`, replacing one of that name. O(log n).
    ///
    /// Backfill is needed exactly if `after` is below the highest seqno that was live when it left memory.
    ///
    /// # Errors
    /// [`CheckpointError::NotQueuedYet`] if `after` is above the high seqno; [`CheckpointError::InvalidArgument`] if the
    /// name is [`PERSISTENCE`].
    pub fn register(
        &self,
        name: &str,
        after: Seqno,
        droppable: bool,
    ) -> Result<Registration, CheckpointError> {
        self.with(|inner| inner.register(name, after, droppable))
    }

    /// Forgets a cursor; checkpoints only it needed go.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`] if it was not registered any more.
    pub fn unregister(&self, cursor: Cursor) -> Result<(), CheckpointError> {
        self.with(|inner| inner.unregister(cursor))
    }

    /// The cursor with that name.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Cursor> {
        self.shared.inner.lock().cursors.by_name(name)
    }

    /// Reads a batch of whole checkpoints and moves the cursor behind it. O(chunks) under the lock.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`]; [`CheckpointError::InvalidArgument`] for a limit of 0 or for the
    /// persistence cursor, which only [`CheckpointManager::begin_flush`] moves.
    pub fn read(&self, cursor: Cursor, limit: ReadLimit) -> Result<Batch, CheckpointError> {
        self.with(|inner| inner.read(cursor, limit))
    }

    /// How many items lie ahead of a cursor. O(chunks).
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`].
    pub fn remaining(&self, cursor: Cursor) -> Result<usize, CheckpointError> {
        self.shared.inner.lock().remaining(cursor)
    }

    /// Reads the persistence cursor's batch. It counts as flushed only when [`Flush::commit`] is called; if the flush
    /// fails, or is dropped, the next one starts at the same place.
    ///
    /// # Errors
    /// [`CheckpointError::FlushInProgress`], [`CheckpointError::NoPersistenceCursor`], or
    /// [`CheckpointError::InvalidArgument`] for a limit of 0.
    pub fn begin_flush(&self, limit: ReadLimit) -> Result<Flush, CheckpointError> {
        let (token, batch) = self.with(|inner| inner.begin_flush(limit, End::Limit))?;
        Ok(Flush::new(self.clone(), token, batch))
    }

    /// As [`CheckpointManager::begin_flush`], but a batch that has come to a snapshot's end ends with one: what has arrived
    /// of the next snapshot is left for the next flush. So whoever commits batch by batch commits every checkpoint of
    /// whole snapshots at a point where readers may look at the disk.
    ///
    /// # Errors
    /// As there.
    pub fn begin_flush_to_boundary(&self, limit: ReadLimit) -> Result<Flush, CheckpointError> {
        let (token, batch) = self.with(|inner| inner.begin_flush(limit, End::Boundary))?;
        Ok(Flush::new(self.clone(), token, batch))
    }

    /// Gives up what every cursor has passed in the oldest checkpoint. Returns how many items that were.
    /// O(chunks) under the lock.
    pub fn expel(&self) -> usize {
        if fault::is(Fault::ExpelInTwoSteps) {
            let (to, dummy) = self.with(Inner::passed_by_all);
            return self.with(|inner| inner.expel_to(to, dummy));
        }
        self.with(Inner::expel)
    }

    /// Memory recovery: closes the open checkpoint, expels, and then drops droppable cursors, the ones furthest behind
    /// first, until `bytes` are free or nothing more can be. Consumers whose cursor was dropped register again and are
    /// told what to fetch from disk. O(chunks + cursors) a cursor dropped.
    pub fn recover(&self, bytes: usize) -> Recovered {
        #[cfg(checkpoint_loom)]
        if fault::is(Fault::DropInTwoSteps) {
            let (to, dummy) = self.with(Inner::drop_all);
            let expelled = self.with(|inner| inner.expel_to(to, dummy));
            return Recovered {
                expelled,
                ..Recovered::default()
            };
        }
        self.with(|inner| inner.recover(bytes))
    }

    /// The manager's epoch: it rises with every change that readers who have kept up must look at under the lock. Takes
    /// none.
    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch.0.load(Ordering::Acquire)
    }

    /// Where the cursor's owner says from now on how far it has read without the lock.
    pub(crate) fn follow(&self, cursor: Cursor) -> Option<Arc<Progress>> {
        self.with(|inner| inner.cursors.follow(cursor))
    }

    /// As [`CheckpointManager::read`], and where to go on without the lock; if there is nothing to read, `signal` is
    /// raised once something is queued, or the cursor is gone.
    pub(crate) fn read_or_arm(
        &self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: &Arc<Signal>,
    ) -> Result<(Batch, Option<Tail>), CheckpointError> {
        if fault::is(Fault::ArmInTwoSteps) {
            let read = self.with(|inner| inner.read_or_arm(cursor, limit, None))?;
            if read.0.is_empty() {
                self.with(|inner| inner.arm(signal));
            }
            return Ok(read);
        }
        self.with(|inner| inner.read_or_arm(cursor, limit, Some(signal)))
    }

    /// The same without a signal, or `None` if another thread is inside.
    pub(crate) fn try_read(
        &self,
        cursor: Cursor,
        limit: ReadLimit,
    ) -> Option<Result<(Batch, Option<Tail>), CheckpointError>> {
        let inner = self.shared.inner.try_lock()?;
        Some(self.within(inner, |inner| inner.read_or_arm(cursor, limit, None)))
    }

    /// Rollback: drops everything and restarts at `high`. Cursors stay and stand there; a flush in progress is void.
    pub fn clear(&self, high: Seqno) {
        self.with(|inner| {
            inner.clear(high);
            // Stored under the lock: whoever has read something queued later sees it.
            self.shared
                .rollbacks
                .store(inner.rollbacks.count(), Ordering::Release);
        });
    }

    /// Rises with every rollback. Takes no lock.
    pub(crate) fn rollbacks(&self) -> u64 {
        self.shared.rollbacks.load(Ordering::Acquire)
    }

    /// Registers a subscriber's cursor again.
    pub(crate) fn resume(&self, subscriber: &Subscriber<'_>) -> Result<Resumed, CheckpointError> {
        self.with(|inner| inner.resume(subscriber))
    }

    /// The last seqno queued.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        self.shared.inner.lock().high
    }

    /// The range of the open checkpoint, as it is now.
    #[must_use]
    pub fn open_range(&self) -> SnapshotRange {
        self.shared.inner.lock().open.snapshot_range()
    }

    /// Every cursor, by name.
    #[must_use]
    pub fn cursors(&self) -> Vec<CursorInfo> {
        self.shared.inner.lock().cursor_infos()
    }

    /// Every checkpoint, oldest first. O(checkpoints x cursors).
    #[must_use]
    pub fn checkpoints(&self) -> Vec<CheckpointInfo> {
        self.shared.inner.lock().checkpoint_infos()
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> CheckpointStats {
        self.shared.inner.lock().stats()
    }

    /// What its items are at most.
    #[must_use]
    pub fn limits(&self) -> ItemLimits {
        self.shared.inner.lock().config.limits
    }

    /// Walks everything and says what is not as it must be; O(items). Empty when all is well.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        self.shared.inner.lock().check()
    }

    /// One critical section; what it frees is dropped after it.
    fn with<T>(&self, step: impl FnOnce(&mut Inner) -> T) -> T {
        self.within(self.shared.inner.lock(), step)
    }

    fn within<T>(
        &self,
        mut inner: TryMutexGuard<'_, Inner>,
        step: impl FnOnce(&mut Inner) -> T,
    ) -> T {
        let result = step(&mut inner);
        let aftermath = inner.settle();
        // Before the items: whoever sees an item queued after a change sees the change. Stored under the lock, so it
        // never goes back.
        let epoch = inner.epoch();
        if fault::is(Fault::ItemsBeforeEpoch) {
            inner.queue.publish();
        }
        if self.shared.epoch.0.load(Ordering::Relaxed) != epoch {
            self.shared.epoch.0.store(epoch, Ordering::Release);
        }
        inner.queue.publish();
        drop(inner);
        aftermath.settle(self.shared.reclaimer.as_ref());
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
    /// The queue as a diagram: a line per checkpoint, oldest first, then a line per cursor, by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.inner.lock().show(f)
    }
}

#[cfg(test)]
mod tests;

//! The methods that subscriptions use: reading with a wake-up or without the lock, and resuming.
//!
//! They are crate-private: a subscription turns them into one safe protocol for its user.

use std::sync::Arc;

use super::batch::CursorBatch;
use super::cursors::{Cursor, Progress};
use super::manager::CheckpointManager;
use super::operations::{Resumed, Subscriber};
use super::read_limit::ReadLimit;
use super::tail::Tail;
use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::internal::sync::{Ordering, Signal};

impl CheckpointManager {
    /// Returns the epoch, without the lock. It rises with every change that a reader must look at
    /// under the lock.
    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch.0.load(Ordering::Acquire)
    }

    /// Returns the number of rollbacks, without the lock.
    pub(crate) fn rollbacks(&self) -> u64 {
        self.shared.rollbacks.load(Ordering::Acquire)
    }

    /// Returns the progress through which the cursor's owner publishes reads without the lock.
    pub(crate) fn track_progress(&self, cursor: Cursor) -> Option<Arc<Progress>> {
        self.with(|state| state.cursors.track_progress(cursor))
    }

    /// Reads like [`CheckpointManager::read`] and returns the tail to continue at without the lock.
    ///
    /// If there is nothing to read, `signal` is raised once an item is queued or the cursor is replaced
    /// or dropped.
    pub(crate) fn read_or_arm(
        &self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: &Arc<Signal>,
    ) -> Result<(CursorBatch, Option<Tail>), CheckpointError> {
        if fault::is(Fault::ArmInTwoSteps) {
            return self.read_or_arm_in_two_steps(cursor, limit, signal);
        }
        self.with(|state| state.read_or_arm(cursor, limit, Some(signal)))
    }

    /// The deliberate bug [`Fault::ArmInTwoSteps`]: an item that is queued between the steps wakes
    /// no reader.
    #[cold]
    fn read_or_arm_in_two_steps(
        &self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: &Arc<Signal>,
    ) -> Result<(CursorBatch, Option<Tail>), CheckpointError> {
        let read = self.with(|state| state.read_or_arm(cursor, limit, None))?;
        if read.0.is_empty() {
            self.with(|state| state.arm(signal));
        }
        Ok(read)
    }

    /// Reads like [`Self::read_or_arm`] without a signal. Returns `None` if another thread holds
    /// the lock.
    pub(crate) fn try_read(
        &self,
        cursor: Cursor,
        limit: ReadLimit,
    ) -> Option<Result<(CursorBatch, Option<Tail>), CheckpointError>> {
        let state = self.shared.state.try_lock()?;
        Some(self.within(state, |state| state.read_or_arm(cursor, limit, None)))
    }

    /// Registers a subscriber's cursor again, after its last seqno or after a rollback.
    pub(crate) fn resume(&self, subscriber: &Subscriber<'_>) -> Result<Resumed, CheckpointError> {
        self.with(|state| state.resume(subscriber))
    }
}

//! The flush token: a batch to persist, and its outcome.
//!
//! The token makes failure the default: a flush that is dropped, for example by a panic, has failed.
//! The steps under the lock are in `operations/persistence_cursor.rs`.

use super::batch::CursorBatch;
use super::manager::CheckpointManager;
use super::read_limit::{ReadEnd, ReadLimit};
use crate::error::CheckpointError;

/// A flush in progress: the batch to persist, whose outcome the flusher reports.
///
/// Dropping it without [`Flush::commit`] means that it failed.
#[derive(Debug)]
pub struct Flush {
    manager: CheckpointManager,
    token: u64,
    batch: CursorBatch,
    success: bool,
}

impl CheckpointManager {
    /// Reads the persistence cursor's batch.
    ///
    /// The batch counts as flushed only when [`Flush::commit`] is called. If the flush fails or is
    /// dropped, the next one starts at the same place.
    ///
    /// # Errors
    /// - [`CheckpointError::FlushInProgress`] if another flush has not ended.
    /// - [`CheckpointError::NoPersistenceCursor`] if the manager has none.
    /// - [`CheckpointError::InvalidArgument`] for a limit of 0.
    pub fn begin_flush(&self, limit: ReadLimit) -> Result<Flush, CheckpointError> {
        self.begin_flush_to(limit, ReadEnd::Limit)
    }

    /// Like [`CheckpointManager::begin_flush`], but a batch that reaches a snapshot's end stops at
    /// one. Items of the next, partial snapshot are left for the next flush.
    ///
    /// A flusher that commits batch by batch thus commits whole snapshots at points where readers
    /// may look at the disk.
    ///
    /// # Errors
    /// Same as [`CheckpointManager::begin_flush`].
    pub fn begin_flush_to_boundary(&self, limit: ReadLimit) -> Result<Flush, CheckpointError> {
        self.begin_flush_to(limit, ReadEnd::Boundary)
    }

    fn begin_flush_to(&self, limit: ReadLimit, end: ReadEnd) -> Result<Flush, CheckpointError> {
        let (token, batch) = self.with(|state| state.begin_flush(limit, end))?;
        Ok(Flush {
            manager: self.clone(),
            token,
            batch,
            success: false,
        })
    }
}

impl Flush {
    /// Returns the batch to persist.
    #[must_use]
    pub fn batch(&self) -> &CursorBatch {
        &self.batch
    }

    /// Reports that the batch is durable. It will not be read again.
    pub fn commit(mut self) {
        self.success = true;
    }

    /// Reports that the batch is not durable. The next flush starts where this one did.
    ///
    /// Same as dropping the flush, with a name that says so.
    pub fn fail(self) {}
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.manager
            .with(|state| state.end_flush(self.token, self.success));
    }
}

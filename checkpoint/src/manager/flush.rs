//! The persistence cursor's read and its two ends.
//!
//! While a flush is in progress the place it started from counts as a cursor for expelling and removing, and in no
//! count. Success forgets that place; failure puts the persistence cursor back there, and the next flush reads a
//! superset: what the failed one had, less what was replaced meanwhile, and what came since.

use super::CheckpointManager;
use super::inner::Inner;
use super::read::End;
use crate::batch::{Batch, ReadLimit};
use crate::{CheckpointError, Seqno};

/// Where the flush in progress would start again.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlushInProgress {
    token: u64,
    pub(super) backup_position: u64,
    pub(super) backup_seqno: Seqno,
}

impl Inner {
    pub(super) fn begin_flush(
        &mut self,
        limit: ReadLimit,
        end: End,
    ) -> Result<(u64, Batch), CheckpointError> {
        let cursor = self
            .persistence
            .ok_or(CheckpointError::NoPersistenceCursor)?;
        if self.flush.is_some() {
            return Err(CheckpointError::FlushInProgress);
        }
        let state = self
            .cursors
            .get(cursor)
            .ok_or(CheckpointError::UnknownCursor)?;
        let (backup_position, backup_seqno) = (state.position, state.seqno);
        // Before the read: it may leave the oldest checkpoint, which must stay until the flush has ended.
        let token = self.flushes + 1;
        self.flush = Some(FlushInProgress {
            token,
            backup_position,
            backup_seqno,
        });
        match self.read_to(cursor, limit, end) {
            Ok(batch) => {
                self.flushes = token;
                Ok((token, batch))
            }
            Err(error) => {
                self.flush = None;
                Err(error)
            }
        }
    }

    fn end_flush(&mut self, token: u64, success: bool) {
        let Some(flush) = self.flush.take_if(|flush| flush.token == token) else {
            return;
        };
        if let (false, Some(cursor)) = (success, self.persistence) {
            self.cursors
                .put_back(cursor, flush.backup_position, flush.backup_seqno);
        }
        self.remove_unreferenced();
    }
}

/// A flush in progress: the batch to persist, and the promise to say how it went.
///
/// Dropping it without [`Flush::commit`] means it failed.
#[derive(Debug)]
pub struct Flush {
    manager: CheckpointManager,
    token: u64,
    batch: Batch,
    success: bool,
}

impl Flush {
    pub(super) fn new(manager: CheckpointManager, token: u64, batch: Batch) -> Self {
        Self {
            manager,
            token,
            batch,
            success: false,
        }
    }

    /// What is to be persisted.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The batch is durable: it will not be read again.
    pub fn commit(mut self) {
        self.success = true;
    }

    /// The batch is not durable: the next flush starts where this one did.
    pub fn fail(self) {}
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.manager
            .with(|inner| inner.end_flush(self.token, self.success));
    }
}

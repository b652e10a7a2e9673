//! The persistence cursor: beginning a flush, and ending it with success or failure.
//!
//! While a flush is in progress, its starting place counts as a cursor for expelling and removing,
//! and in no counter. Success forgets that place. Failure moves the persistence cursor back there.
//!
//! # Invariants
//! - A flush that fails loses nothing (C10). The next flush reads a superset: the same items, except
//!   those replaced meanwhile, and the items queued since.

use crate::error::CheckpointError;
use crate::internal::invariant::Invariant;
use crate::manager::batch::CursorBatch;
use crate::manager::locked_state::{FlushInProgress, LockedState};
use crate::manager::read_limit::{ReadEnd, ReadLimit};

impl LockedState {
    /// Reads the persistence cursor's batch. Returns it with the token of the flush.
    pub(crate) fn begin_flush(
        &mut self,
        limit: ReadLimit,
        end: ReadEnd,
    ) -> Result<(u64, CursorBatch), CheckpointError> {
        let cursor = self
            .persistence
            .ok_or(CheckpointError::NoPersistenceCursor)?;
        if self.flush.is_some() {
            return Err(CheckpointError::FlushInProgress);
        }
        let state = self
            .cursors
            .get(cursor)
            .invariant("C14", "the persistence cursor stays registered")?;
        let (backup_position, backup_seqno) = (state.position, state.seqno);
        // Set before the read: the cursor may leave the oldest checkpoint, which must stay until the
        // flush has ended.
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

    /// Ends the flush with that token. Does nothing if a rollback made it void.
    pub(crate) fn end_flush(&mut self, token: u64, success: bool) {
        let Some(flush) = self.flush.take_if(|flush| flush.token == token) else {
            return;
        };
        // A flush without its cursor has nothing to move back. What it read stays in memory until
        // another cursor has passed it.
        if !success
            && let Some(cursor) = self
                .persistence
                .expected("C10", "a flush belongs to the persistence cursor")
        {
            self.cursors
                .set_position(cursor, flush.backup_position, flush.backup_seqno);
        }
        self.remove_unreferenced();
    }
}

//! Registering a consumer after its last seqno, resuming it, and removing it.
//!
//! # Invariants
//! - Backfill is requested exactly if an item that was live has left memory above the consumer's
//!   seqno (C9).

use crate::error::CheckpointError;
use crate::manager::config::{CursorOptions, PERSISTENCE};
use crate::manager::cursors::{Cursor, Registration};
use crate::manager::locked_state::LockedState;
use crate::model::Seqno;

/// A subscriber's progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber<'a> {
    pub(crate) name: &'a str,
    /// Cursor of the subscriber, registered or not.
    pub(crate) cursor: Cursor,
    /// The subscriber has everything up to this seqno.
    pub(crate) seqno: Seqno,
    /// Number of rollbacks that it has seen.
    pub(crate) rollbacks: u64,
}

/// The place at which a subscriber continues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumed {
    pub(crate) registration: Registration,
    /// Seqno after which the subscriber must discard everything first.
    pub(crate) rollback_to: Option<Seqno>,
    /// Number of rollbacks that it has seen now.
    pub(crate) rollbacks: u64,
}

impl LockedState {
    pub(crate) fn register(
        &mut self,
        name: &str,
        after: Seqno,
        options: CursorOptions,
    ) -> Result<Registration, CheckpointError> {
        if after > self.high {
            return Err(CheckpointError::NotQueuedYet {
                seqno: after,
                high: self.high,
            });
        }
        if name == PERSISTENCE {
            return Err(CheckpointError::InvalidArgument(
                "the name \"persistence\" is reserved for the persistence cursor",
            ));
        }
        let backfill = after < self.highest_evicted;
        // Without backfill the consumer has everything live below the base, so a search from the
        // base misses nothing. With backfill it stands on the oldest dummy.
        let (position, seqno) = if backfill {
            (self.queue.base(), self.oldest().dummy)
        } else {
            (self.queue.seek(after), after)
        };
        let next = self
            .queue
            .first_live(position)
            .map_or(self.high.next(), |item| item.seqno);
        if self.cursors.by_name(name).is_some() {
            // A thread that waits with the replaced cursor must learn that it is gone.
            self.record_change();
        }
        let cursor = self.cursors.insert(name, position, seqno, options);
        // The replaced cursor may have been the only one in the oldest checkpoint.
        self.remove_unreferenced();
        Ok(Registration {
            cursor,
            next,
            backfill,
        })
    }

    /// Registers a subscriber again, whose cursor was dropped or which has missed rollbacks.
    pub(crate) fn resume(
        &mut self,
        subscriber: &Subscriber<'_>,
    ) -> Result<Resumed, CheckpointError> {
        let Subscriber {
            name,
            cursor,
            seqno,
            rollbacks,
        } = *subscriber;
        if self
            .cursors
            .by_name(name)
            .is_some_and(|registered| registered != cursor)
        {
            return Err(CheckpointError::UnknownCursor);
        }
        let lowest = self.rollbacks.lowest_after(rollbacks);
        let rollback_to = lowest.filter(|&lowest| lowest < seqno);
        let registration =
            self.register(name, rollback_to.unwrap_or(seqno), CursorOptions::new())?;
        Ok(Resumed {
            registration,
            rollback_to,
            rollbacks: self.rollbacks.count(),
        })
    }

    pub(crate) fn unregister(&mut self, cursor: Cursor) -> Result<(), CheckpointError> {
        if Some(cursor) == self.persistence {
            return Err(CheckpointError::InvalidArgument(
                "the persistence cursor cannot be unregistered",
            ));
        }
        if !self.cursors.remove(cursor) {
            return Err(CheckpointError::UnknownCursor);
        }
        // The owner may be reading without the lock.
        self.changes += 1;
        self.remove_unreferenced();
        Ok(())
    }
}

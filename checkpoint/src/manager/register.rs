//! Registering a consumer after the seqno it has, and forgetting it.

use super::PERSISTENCE;
use super::inner::Inner;
use crate::cursor::{Cursor, Registration};
use crate::{CheckpointError, Seqno};

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber<'a> {
    pub(crate) name: &'a str,
    /// Its cursor, registered or not.
    pub(crate) cursor: Cursor,
    /// Everything up to here it has.
    pub(crate) seqno: Seqno,
    /// So many rollbacks it has seen.
    pub(crate) rollbacks: u64,
}

/// Where it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumed {
    pub(crate) registration: Registration,
    /// It must give up everything after this first.
    pub(crate) back_to: Option<Seqno>,
    /// So many rollbacks it has seen now.
    pub(crate) rollbacks: u64,
}

impl Inner {
    pub(super) fn register(
        &mut self,
        name: &str,
        after: Seqno,
        droppable: bool,
    ) -> Result<Registration, CheckpointError> {
        if after > self.high {
            return Err(CheckpointError::NotQueuedYet {
                seqno: after,
                high: self.high,
            });
        }
        if name == PERSISTENCE {
            return Err(CheckpointError::InvalidArgument(
                "the persistence cursor is the flusher's",
            ));
        }
        let backfill = after < self.highest_gone;
        // Without backfill the consumer has everything below the base that was live there, so seeking from the base on
        // misses nothing; with it, it stands on the oldest dummy.
        let (position, seqno) = if backfill {
            (self.queue.base(), self.front().dummy)
        } else {
            (self.queue.seek(after), after)
        };
        let next = self
            .queue
            .first_live(position)
            .map_or(self.high.next(), |item| item.seqno);
        if self.cursors.by_name(name).is_some() {
            // Whoever waits with the cursor that had the name must learn that it is gone.
            self.note_change();
        }
        let cursor = self.cursors.insert(name, position, seqno, droppable);
        // The cursor whose name it took may have been the only one in the oldest checkpoint.
        self.remove_unreferenced();
        Ok(Registration {
            cursor,
            next,
            backfill,
        })
    }

    /// Registers a subscriber whose cursor was dropped, or that has not seen the last rollbacks, from where it must go on.
    pub(super) fn resume(
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
        let back_to = lowest.filter(|&place| place < seqno);
        let registration = self.register(name, back_to.unwrap_or(seqno), true)?;
        Ok(Resumed {
            registration,
            back_to,
            rollbacks: self.rollbacks.count(),
        })
    }

    pub(super) fn unregister(&mut self, cursor: Cursor) -> Result<(), CheckpointError> {
        if Some(cursor) == self.persistence {
            return Err(CheckpointError::InvalidArgument(
                "the persistence cursor is the flusher's",
            ));
        }
        if !self.cursors.remove(cursor) {
            return Err(CheckpointError::UnknownCursor);
        }
        // Its owner may be reading on without the lock.
        self.changes += 1;
        self.remove_unreferenced();
        Ok(())
    }
}

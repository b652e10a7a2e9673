//! Registering a consumer after the seqno it has, and forgetting it.

use super::PERSISTENCE;
use super::inner::Inner;
use crate::cursor::{Cursor, Registration};
use crate::{CheckpointError, Seqno};

impl Inner {
    pub(super) fn register(
        &mut self,
        name: &str,
        after: Seqno,
        droppable: bool,
    ) -> Result<Registration, CheckpointError> {
        if after > self.high {
            return Err(CheckpointError::InvalidArgument("nobody can have a seqno that was not queued yet"));
        }
        if name == PERSISTENCE {
            return Err(CheckpointError::InvalidArgument("the persistence cursor is the flusher's"));
        }
        let backfill = after < self.highest_gone;
        // Without backfill the consumer has everything below the base that was live there, so seeking from the base on
        // misses nothing; with it, it stands on the oldest dummy.
        let (position, seqno) =
            if backfill { (self.queue.base(), self.front().dummy) } else { (self.queue.seek(after), after) };
        let next = self.queue.first_live(position).map_or(self.high.next(), |item| item.seqno);
        if self.cursors.by_name(name).is_some() {
            // Whoever waits with the cursor that had the name must learn that it is gone.
            self.note_change();
        }
        let cursor = self.cursors.insert(name, position, seqno, droppable);
        // The cursor whose name it took may have been the only one in the oldest checkpoint.
        self.remove_unreferenced();
        Ok(Registration { cursor, next, backfill })
    }

    pub(super) fn unregister(&mut self, cursor: Cursor) -> Result<(), CheckpointError> {
        if Some(cursor) == self.persistence {
            return Err(CheckpointError::InvalidArgument("the persistence cursor is the flusher's"));
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

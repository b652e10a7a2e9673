//! Rollback of the memory: everything goes, cursors stay.

use super::inner::Inner;
use crate::Seqno;
use crate::checkpoint::Checkpoint;
use crate::fault::{self, Fault};

impl Inner {
    pub(super) fn clear(&mut self, high: Seqno) {
        self.cleared += self.resident_items() as u64;
        self.checkpoints_created += 1;
        self.reset_queue();
        self.reset_index();
        self.closed.clear();
        if !fault::is(Fault::ClearKeepsTheFlush) {
            self.flush = None;
        }
        self.rollbacks.note(high);
        self.high = high;
        self.visible = high;
        self.highest_gone = high;
        self.open = Checkpoint::assigned(1, high, high, self.queue.end());
        self.cursors.set_all(self.queue.base(), high);
        self.note_change();
    }
}

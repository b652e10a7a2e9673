//! Rollback of the memory: all items leave, all cursors stay.
//!
//! A rolled-back item must not reach any reader, so nothing of the old queue is kept.

use crate::fault::{self, Fault};
use crate::internal::number::to_u64;
use crate::manager::checkpoint::Checkpoint;
use crate::manager::locked_state::LockedState;
use crate::model::Seqno;

impl LockedState {
    pub(crate) fn clear(&mut self, high: Seqno) {
        self.cleared += to_u64(self.resident_items());
        self.checkpoints_created += 1;
        self.reset_queue();
        self.reset_index();
        self.closed.clear();
        if !fault::is(Fault::ClearKeepsTheFlush) {
            self.flush = None;
        }
        self.rollbacks.record(high);
        self.high = high;
        self.visible = high;
        self.highest_evicted = high;
        self.open = Checkpoint::assigned(1, high, high, self.queue.end());
        self.cursors.set_all(self.queue.base(), high);
        self.record_change();
    }
}

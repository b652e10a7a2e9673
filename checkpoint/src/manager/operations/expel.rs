//! Expelling: evicting the items of the oldest checkpoint that every cursor has passed.
//!
//! The lowest cursor's position becomes the base. The operation visits only the chunks that leave and
//! the slots of the one that stays in part. The key index is untouched: its entries below the base
//! are stale.

use crate::fault::{self, Fault};
use crate::internal::number::to_u64;
use crate::manager::locked_state::LockedState;
use crate::model::Seqno;

impl LockedState {
    pub(crate) fn expel(&mut self) -> usize {
        let (to, dummy) = self.passed_by_all();
        self.expel_to(to, dummy)
    }

    /// Returns the position up to which every cursor has read, and the last seqno before it. Without
    /// a cursor, all of the oldest checkpoint counts as read.
    pub(crate) fn passed_by_all(&mut self) -> (u64, Seqno) {
        let highest = || {
            self.cursors
                .iter()
                .map(|cursor| (cursor.position, cursor.seqno))
                .max()
        };
        let lowest = if fault::is(Fault::ExpelToTheHighest) {
            highest()
        } else {
            self.lowest()
        };
        let end = self.oldest_end();
        lowest.unwrap_or_else(|| (end, self.processed_at(end, self.oldest().dummy)))
    }

    /// Evicts everything below `to`, of which `dummy` is the last seqno. Returns the number of items.
    pub(crate) fn expel_to(&mut self, to: u64, dummy: Seqno) -> usize {
        let expelled = self.queue.live_between(self.queue.base(), to);
        self.evict(to);
        let oldest = self.oldest_mut();
        oldest.live -= expelled;
        // Raised even if no item is expelled: a lowest cursor on a replaced item may have lost every
        // slot below it to a rewrite.
        oldest.dummy = oldest.dummy.max(dummy);
        if self.closed.is_empty() && self.open.live.items == 0 && !self.index.has_restrictions() {
            self.clear_index();
        }
        self.expelled += to_u64(expelled.items);
        self.expelled_bytes += to_u64(expelled.bytes);
        expelled.items
    }
}

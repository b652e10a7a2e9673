//! Expelling: giving up, inside the oldest checkpoint, what every cursor has passed.
//!
//! The lowest cursor's position becomes the base. Nothing is walked but the chunks that leave and the slots of the one
//! that stays in part; the key index is not touched, its entries below the base have become stale.

use super::inner::Inner;
use crate::Seqno;
use crate::fault::{self, Fault};

impl Inner {
    pub(super) fn expel(&mut self) -> usize {
        let (to, dummy) = self.passed_by_all();
        self.expel_to(to, dummy)
    }

    /// What every cursor has passed: the position behind it, and the last seqno in it. Of the oldest checkpoint all, if
    /// there is no cursor.
    pub(super) fn passed_by_all(&mut self) -> (u64, Seqno) {
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
        let end = self.front_end();
        lowest.unwrap_or_else(|| (end, self.processed_at(end, self.front().dummy)))
    }

    /// Gives up what lies below `to`, of which `dummy` is the last seqno. Returns how many items that were.
    pub(super) fn expel_to(&mut self, to: u64, dummy: Seqno) -> usize {
        let gone = self.queue.live_between(self.queue.base(), to);
        self.give_up(to);
        let front = self.front_mut();
        front.live -= gone;
        // Also where nothing stood between: a lowest cursor on a replaced item may have lost every slot below it.
        front.dummy = front.dummy.max(dummy);
        if self.closed.is_empty() && self.open.live.items == 0 && !self.index.forbids_anything() {
            self.forget_index();
        }
        self.expelled += gone.items as u64;
        self.expelled_bytes += gone.bytes as u64;
        gone.items
    }
}

//! Expelling: giving up, inside the oldest checkpoint, what every cursor has passed.
//!
//! The lowest cursor's position becomes the base. Nothing is walked but the chunks that leave and the slots of the one
//! that stays in part; the key index is not touched, its entries below the base have become stale.

use super::inner::Inner;

impl Inner {
    pub(super) fn expel(&mut self) -> usize {
        let (end, lowest) = (self.front_end(), self.lowest());
        let (to, dummy) = lowest.unwrap_or_else(|| (end, self.processed_at(end, self.front().dummy)));
        let gone = self.queue.live_between(self.queue.base(), to);
        self.give_up(to);
        let front = self.front_mut();
        front.live -= gone;
        // Also where nothing stood between: a lowest cursor on a replaced item may have lost every slot below it.
        front.dummy = front.dummy.max(dummy);
        if self.closed.is_empty() && self.open.live.items == 0 && !self.index.forbids_anything() {
            self.reset_index();
        }
        self.expelled += gone.items as u64;
        self.expelled_bytes += gone.bytes as u64;
        gone.items
    }
}

//! How far a backfill is, for a client that sees nothing of it, and for the host, whose engine it holds up.
//!
//! - S30. A backfill that reads many items which its client does not see says how far it is, if its client understands that.
//!   The client is inside the snapshot then, and has all of it that comes before; the snapshot is whole at its end only.
//! - S31. A backfill whose client takes nothing for as long as the host allows ends, and lets go of its snapshot. Time in which
//!   the engine works does not count.

use lowtide_checkpoint::Item;

use crate::producer::session::ProducerLimits;

/// What was read since the client was last told anything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hidden {
    items: usize,
    bytes: usize,
}

impl Hidden {
    /// Takes note of an item. Returns whether the client should be told how far the scan is.
    pub(super) fn note(&mut self, item: &Item, is_shown: bool, limits: &ProducerLimits) -> bool {
        if is_shown {
            *self = Self::default();
            return false;
        }
        self.items += 1;
        self.bytes += item.payload_bytes();
        let is_much = self.items >= limits.hidden_items || self.bytes >= limits.hidden_bytes;
        if is_much {
            *self = Self::default();
        }
        is_much
    }
}

/// When a stream was last seen to have moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standstill {
    pub(super) moves: u64,
    pub(super) since: u64,
}

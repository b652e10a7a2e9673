//! Progress of a backfill: reported to a client that sees none of its items, and checked for a
//! standstill.
//!
//! # Invariants
//!
//! - S30. A backfill that reads many invisible items reports its progress, if the client
//!   understands that. The client is inside the snapshot then. It has everything before the
//!   reported seqno, and the snapshot is complete only at its end.
//! - S31. A backfill whose client takes nothing for longer than the host allows ends, and releases
//!   its snapshot. Time in which the engine works does not count.

use lowtide_checkpoint::Item;

use crate::producer::session::ProducerLimits;

/// Items and bytes read since the last message to the client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hidden {
    items: usize,
    bytes: usize,
}

impl Hidden {
    /// Counts an item. Returns `true` if the client must receive the progress of the scan.
    pub(super) fn count(&mut self, item: &Item, is_visible: bool, limits: &ProducerLimits) -> bool {
        if is_visible {
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

/// Time of the last observed progress of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standstill {
    pub(super) steps_done: u64,
    pub(super) since: u64,
}

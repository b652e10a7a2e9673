//! How far a backfill is, for a client that sees nothing of it, and for the host, whose engine it holds up.
//!
//! - S30. A backfill that reads many items which its client does not see says how far it is, if its client understands that.
//!   The client is inside the snapshot then, and has all of it that comes before; the snapshot is whole at its end only.
//! - S31. A backfill whose client takes nothing for as long as the host allows ends, and lets go of its snapshot. Time in which
//!   the engine works does not count.

use lowtide_checkpoint::{Item, Seqno};

use super::{ActiveStream, Source};
use crate::producer::limits::ProducerLimits;

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
    moves: u64,
    since: u64,
}

impl ActiveStream {
    /// Takes the time. Returns whether it holds a scan of the disk and nothing of it has moved for too long.
    pub(in crate::producer) fn stands_still(&mut self, now: u64, limits: &ProducerLimits) -> bool {
        let waits_for_client = matches!(&self.source, Source::Disk(disk) if disk.is_paused());
        let before = self
            .standstill
            .take()
            .filter(|before| before.moves == self.moves && waits_for_client);
        if !waits_for_client {
            return false;
        }
        let standstill = before.unwrap_or(Standstill {
            moves: self.moves,
            since: now,
        });
        self.standstill = Some(standstill);
        now.saturating_sub(standstill.since) >= limits.standstill_nanos
    }

    /// The scan has come to that item, and nothing was sent for long.
    pub(super) fn tell_progress(&mut self, seqno: Seqno) {
        self.outbox.advance_to(seqno);
    }
}

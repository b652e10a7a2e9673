//! States of a stream: its source of items, disk scan, first pass and takeover, and its next
//! action.

use lowtide_checkpoint::{Registration, Seqno};

use crate::producer::backfill::BackfillScan;
use crate::producer::collections::Collections;
use crate::producer::session::{Options, ProducerLimits};
use crate::wire::Request;

/// Source of the next items.
#[derive(Debug)]
pub(super) enum Source {
    Memory,
    Disk(Disk),
    /// The disk is read, and the request was for the disk only.
    Exhausted,
    /// None: the outbox holds the last messages.
    Over,
}

impl Source {
    pub(super) fn after(registration: Registration) -> Self {
        if registration.backfill {
            Self::Disk(Disk::Wanted)
        } else {
            Self::Memory
        }
    }
}

/// State of a stream's disk scan.
#[derive(Debug)]
pub(super) enum Disk {
    /// A scan is needed and not requested yet.
    Wanted,
    /// The host was asked to pin a snapshot.
    Opening,
    /// The host was asked for a slice.
    Reading,
    /// The scan ended inside a snapshot. The client waits for the rest, and then another scan
    /// follows.
    AwaitingRest,
    /// The next slice is read after the current one was sent.
    Paused(BackfillScan),
}

impl Disk {
    /// Moves to the next step of the host, and returns it.
    pub(super) fn next(&mut self) -> Turn {
        let (state, turn) = match std::mem::replace(self, Self::Wanted) {
            Self::Wanted | Self::AwaitingRest => (Self::Opening, Turn::Backfill),
            Self::Paused(scan) => (Self::Reading, Turn::ReadSlice(scan)),
            waiting @ (Self::Opening | Self::Reading) => (waiting, Turn::Nothing),
        };
        *self = state;
        turn
    }

    /// Returns `true` if the next slice waits for the current one to be sent.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Self::Paused(_))
    }

    /// Returns `true` if a step of the host is in progress.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Opening | Self::Reading)
    }
}

/// Progress of the first pass.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Last item so far that the client sees.
    pub(super) last: Option<Seqno>,
}

/// Step of a takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    Sending,
    PendingAsked,
    Dying,
    SendingRest,
    ActiveAsked,
}

/// Next action of a stream.
#[derive(Debug)]
pub(in crate::producer) enum Turn {
    /// Send this message.
    Message(Request),
    /// Open a scan of the disk after the seqno read.
    Backfill,
    /// Read the next slice of the scan.
    ReadSlice(BackfillScan),
    /// Wait for an event.
    Nothing,
}

/// Options of the connection, and the limits and knowledge of its host.
#[derive(Clone, Copy, Debug)]
pub(in crate::producer) struct StreamContext<'a> {
    pub(in crate::producer) options: &'a Options,
    pub(in crate::producer) limits: &'a ProducerLimits,
    /// Highest seqnos of the vBucket's collections.
    pub(in crate::producer) collections: Option<&'a Collections>,
}

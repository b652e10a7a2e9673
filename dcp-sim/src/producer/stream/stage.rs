//! Where a stream is: what its items come from, how far its scan, its survey and its takeover are, and what it does next.

use lowtide_checkpoint::{Registration, Seqno};

use crate::producer::backfill::BackfillScan;
use crate::producer::collections::Collections;
use crate::producer::session::{Options, ProducerLimits};
use crate::wire::Request;

/// Where the next items come from.
#[derive(Debug)]
pub(super) enum Source {
    Memory,
    Disk(Disk),
    /// The disk has been read, and that was all that was wanted.
    Exhausted,
    /// Nowhere: what is in the outbox is the last.
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

/// How far a stream is with the disk.
#[derive(Debug)]
pub(super) enum Disk {
    /// It needs a scan and has not said so yet.
    Wanted,
    /// The host has been asked to pin a snapshot.
    Opening,
    /// The host has been asked for a slice.
    Reading,
    /// It ended inside a snapshot whose rest is yet to come. Its client waits for that, and then another scan is needed.
    Halved,
    /// There is more to read, once what was read is sent.
    Paused(BackfillScan),
}

impl Disk {
    pub(super) fn next(&mut self) -> Turn {
        match self {
            Self::Wanted | Self::Halved => {
                *self = Self::Opening;
                Turn::Backfill
            }
            Self::Opening | Self::Reading => Turn::Nothing,
            Self::Paused(_) => match std::mem::replace(self, Self::Reading) {
                Self::Paused(scan) => Turn::ReadOn(scan),
                _ => Turn::Nothing,
            },
        }
    }

    /// Whether the rest is read once what was read is sent.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Self::Paused(_))
    }

    /// Whether the host has something to do first.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Opening | Self::Reading)
    }
}

/// How far the first reading has come.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The last item that the client will see.
    pub(super) last: Option<Seqno>,
}

/// How far a takeover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    Sending,
    PendingAsked,
    Dying,
    SendingRest,
    ActiveAsked,
}

/// What a stream does next.
#[derive(Debug)]
pub(in crate::producer) enum Turn {
    /// Send this.
    Message(Request),
    /// It needs the disk, from after the seqno it has read.
    Backfill,
    /// It has room for the next slice.
    ReadOn(BackfillScan),
    /// Nothing until something happens.
    Nothing,
}

/// What a connection negotiated, and what its host decided and knows.
#[derive(Clone, Copy, Debug)]
pub(in crate::producer) struct Negotiated<'a> {
    pub(in crate::producer) options: &'a Options,
    pub(in crate::producer) limits: &'a ProducerLimits,
    /// How far the vBucket's collections have come.
    pub(in crate::producer) collections: Option<&'a Collections>,
}

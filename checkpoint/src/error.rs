//! Why the manager refused: nothing has changed then.

use crate::Seqno;

/// What a [`CheckpointManager`](crate::CheckpointManager) returns when it refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Seqnos rise: this one is at or below the last.
    #[error("seqno {seqno} is not above {high}, the last one queued")]
    OutOfOrder {
        /// The seqno that was offered.
        seqno: Seqno,
        /// The last one queued.
        high: Seqno,
    },
    /// A replica takes only what the snapshot marker announced.
    #[error("seqno {seqno} is outside the snapshot {start}-{end}")]
    OutOfRange {
        /// The seqno that was offered.
        seqno: Seqno,
        /// The snapshot's start.
        start: Seqno,
        /// The snapshot's end.
        end: Seqno,
    },
    /// Nobody can have a seqno that was not queued yet: it is of another history, or was rolled back.
    #[error(
        "seqno {seqno} was not queued yet, the last one is {high}: give up everything after it first"
    )]
    NotQueuedYet {
        /// What the consumer claims to have.
        seqno: Seqno,
        /// The last one queued.
        high: Seqno,
    },
    /// The cursor was unregistered, or its name was given to another.
    #[error("the cursor is not registered here any more")]
    UnknownCursor,
    /// The manager was made without a persistence cursor.
    #[error("there is no persistence cursor")]
    NoPersistenceCursor,
    /// One flush at a time.
    #[error("a flush is in progress")]
    FlushInProgress,
    /// The quota is used up, and recovery has not made room yet.
    #[error(
        "{used_bytes} bytes of checkpoint memory are used, no write is taken until some are recovered"
    )]
    NoMemory {
        /// Bytes used of the quota.
        used_bytes: usize,
    },
    /// The vBucket has had its last seqno: no operation can follow. Nothing was changed.
    #[error("seqnos are used up: the last one is {high}")]
    SeqnosUsedUp {
        /// The last one queued.
        high: Seqno,
    },
    /// No engine that persists this vBucket could store it.
    #[error("{what} is {size}, over the limit of {limit}")]
    TooLarge {
        /// Which part of the item.
        what: &'static str,
        /// How large it is, or which number.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// What persists this vBucket keeps something else where documents of that collection would be.
    #[error("collection {collection} is reserved: it can have no documents")]
    ReservedCollection {
        /// The key's collection.
        collection: u32,
    },
    /// An option or a marker that makes no sense.
    #[error("{0}")]
    InvalidArgument(&'static str),
}

impl CheckpointError {
    /// One short stable word for scripts and scenario files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out-of-order",
            Self::OutOfRange { .. } => "out-of-range",
            Self::UnknownCursor | Self::NoPersistenceCursor => "unknown-cursor",
            Self::FlushInProgress => "flush-in-progress",
            Self::NoMemory { .. } => "no-memory",
            Self::SeqnosUsedUp { .. } => "seqnos-used-up",
            Self::TooLarge { .. } => "too-large",
            Self::NotQueuedYet { .. }
            | Self::ReservedCollection { .. }
            | Self::InvalidArgument(_) => "invalid-argument",
        }
    }
}

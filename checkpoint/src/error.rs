//! The errors of a manager: the reasons to refuse an operation.
//!
//! They are typed, because callers react differently: a replica asks for a rollback, a writer waits
//! for memory, a consumer registers again.
//!
//! # Invariants
//! - An operation that returns an error has changed nothing (C15), except for
//!   [`CheckpointError::Internal`].

use crate::internal::invariant::Violation;
use crate::model::Seqno;

/// The reason why a [`CheckpointManager`](crate::CheckpointManager) refused an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Seqnos must rise: this one is at or below the last.
    #[error("seqno {seqno} is out of order, expected one above {high}")]
    OutOfOrder {
        /// Offered seqno.
        seqno: Seqno,
        /// Last seqno queued.
        high: Seqno,
    },
    /// A replica takes only seqnos that the snapshot marker announced.
    #[error("seqno {seqno} is outside the snapshot {start}-{end}")]
    OutOfRange {
        /// Offered seqno.
        seqno: Seqno,
        /// Start of the snapshot.
        start: Seqno,
        /// End of the snapshot.
        end: Seqno,
    },
    /// No consumer can have a seqno that was not queued yet: it belongs to another history, or was
    /// rolled back.
    #[error(
        "seqno {seqno} was not queued yet, the last one is {high}: discard everything after it first"
    )]
    NotQueuedYet {
        /// Seqno that the consumer claims to have.
        seqno: Seqno,
        /// Last seqno queued.
        high: Seqno,
    },
    /// The cursor was unregistered or dropped, or another cursor has its name.
    #[error("the cursor is not registered any more")]
    UnknownCursor,
    /// The manager was created without a persistence cursor.
    #[error("there is no persistence cursor")]
    NoPersistenceCursor,
    /// Only one flush can be in progress.
    #[error("a flush is already in progress")]
    FlushInProgress,
    /// The quota is used up, and memory recovery has not freed any yet.
    #[error(
        "the checkpoint quota is used up ({used_bytes} bytes): retry after memory was recovered"
    )]
    NoMemory {
        /// Used bytes of the quota.
        used_bytes: usize,
    },
    /// The vBucket has had its last seqno: no operation can follow.
    #[error("no seqno is left after {high}")]
    SeqnosUsedUp {
        /// Last seqno queued.
        high: Seqno,
    },
    /// The item is beyond a limit of the engines that persist this vBucket.
    #[error("{what} is {size}, over the limit of {limit}")]
    TooLarge {
        /// Part of the item.
        what: &'static str,
        /// Its size or number.
        size: u64,
        /// Limit for it.
        limit: u64,
    },
    /// The engine that persists this vBucket uses the collection's key space for other data.
    #[error("collection {collection} is reserved and cannot have documents")]
    ReservedCollection {
        /// Collection of the key.
        collection: u32,
    },
    /// An argument is not valid here.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// The manager has found itself in an impossible state, which is a bug of this crate.
    ///
    /// The operation may be half done. A manager that has returned this from a write refuses every
    /// further write with it. The host drops the vBucket and recovers it from its store. Debug
    /// builds and tests panic instead.
    #[error("internal error: invariant {invariant} is violated: {what}")]
    Internal {
        /// Invariant that does not hold, as `docs/invariants.md` names it.
        invariant: &'static str,
        /// Condition that does not hold.
        what: &'static str,
    },
}

impl From<Violation> for CheckpointError {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal { invariant, what }
    }
}

impl CheckpointError {
    /// Returns one short stable word for scripts and scenario files.
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
            Self::Internal { .. } => "internal",
        }
    }
}

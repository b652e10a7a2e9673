//! Errors that close a producer's connection.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{CheckpointError, Vbid};

use crate::wire::{Opcode, Status, WireError};

/// Error that closes the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The bytes are not valid frames, or not messages that can be answered.
    #[error("invalid bytes from the consumer: {0}")]
    Wire(#[from] WireError),
    /// A message that only producers send, or one before the open request.
    #[error("unexpected {opcode} from a consumer")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The consumer refused a message of a stream, so the stream cannot continue.
    #[error("the consumer refused {opcode}: {status}")]
    Refused {
        /// The command.
        opcode: Opcode,
        /// The answer.
        status: Status,
    },
    /// No byte arrived for longer than a connection may be idle.
    #[error("no bytes received for {nanos} ns")]
    Silent {
        /// Length of the interval in nanoseconds.
        nanos: u64,
    },
    /// The checkpoint manager returned an error, which it never does for a live stream.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// The cause.
        source: CheckpointError,
    },
    /// The producer has found itself in an impossible state, which is a bug of this crate.
    ///
    /// The connection must be closed. Debug builds and tests panic instead.
    #[error("internal error: invariant {invariant} is violated: {what}")]
    Internal {
        /// Invariant that does not hold, as `docs/invariants.md` names it.
        invariant: &'static str,
        /// Condition that does not hold.
        what: &'static str,
    },
}

impl From<Violation> for ProducerError {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal { invariant, what }
    }
}

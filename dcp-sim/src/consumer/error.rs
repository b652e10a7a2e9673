//! Errors that close a consumer's connection.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{FailoverLogError, Vbid};

use crate::wire::{Opcode, Status, WireError};

/// Error that closes the connection. A message that breaks a snapshot or belongs to no stream is
/// not an error: it is answered, and the producer decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The bytes are not valid frames.
    #[error("invalid bytes from the producer: {0}")]
    Wire(#[from] WireError),
    /// A response to a stream request that is not pending.
    #[error("unexpected response: no pending stream request with opaque {opaque:#x}")]
    NoSuchRequest {
        /// Opaque of the response.
        opaque: u32,
    },
    /// A request that only consumers send.
    #[error("unexpected {opcode} from a producer")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The producer refused a request that every stream needs.
    #[error("{opcode} was refused: {status}")]
    Refused {
        /// The refused command.
        opcode: Opcode,
        /// The answer.
        status: Status,
    },
    /// The failover log is invalid.
    #[error("vBucket {vb}: {source}")]
    FailoverLog {
        /// The vBucket.
        vb: Vbid,
        /// The defect.
        source: FailoverLogError,
    },
    /// No byte arrived for longer than a connection may be idle.
    #[error("no bytes received for {nanos} ns")]
    Silent {
        /// Length of the interval in nanoseconds.
        nanos: u64,
    },
    /// The consumer has found itself in an impossible state, which is a bug of this crate.
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

impl From<Violation> for ConsumerError {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal { invariant, what }
    }
}

//! Why a producer's connection must be closed.

use lowtide_checkpoint::{CheckpointError, Vbid};

use crate::wire::{Opcode, Status, WireError};

/// Why a connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// Bytes that are no frames, or no messages that can be answered.
    #[error("the consumer's bytes make no sense: {0}")]
    Wire(#[from] WireError),
    /// A message that only producers send, or one before the connection was opened.
    #[error("{opcode} is not what a consumer sends here")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The consumer refused what a stream brought, and can't have the rest.
    #[error("the consumer refused {opcode}: {status}")]
    Refused {
        /// The command.
        opcode: Opcode,
        /// Its answer.
        status: Status,
    },
    /// Not a byte for so long that nobody can be there.
    #[error("nothing came for {nanos} ns")]
    Silent {
        /// How long.
        nanos: u64,
    },
    /// The vBucket's memory refused, which it never does to a live stream.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        source: CheckpointError,
    },
}

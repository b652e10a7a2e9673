//! Why a consumer's connection must be closed.

use lowtide_checkpoint::{FailoverLogError, Vbid};

use crate::wire::{Opcode, Status, WireError};

/// Why a connection must be closed. What breaks a snapshot or belongs to no stream does not: it is answered, and left to the
/// producer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Bytes that are no frames.
    #[error("the producer's bytes make no sense: {0}")]
    Wire(#[from] WireError),
    /// An answer to a stream request that nobody made.
    #[error("an answer to the stream request {opaque:#x}, which was not made")]
    NoSuchRequest {
        /// The opaque it carries.
        opaque: u32,
    },
    /// A message that only consumers send.
    #[error("{opcode} is not what a producer sends")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The producer refused something no stream can go without.
    #[error("{opcode} was refused: {status}")]
    Refused {
        /// What was asked.
        opcode: Opcode,
        /// The answer.
        status: Status,
    },
    /// A branch list that is none.
    #[error("vBucket {vb}: {source}")]
    FailoverLog {
        /// The vBucket.
        vb: Vbid,
        /// What is wrong with it.
        source: FailoverLogError,
    },
    /// Not a byte for so long that nobody can be there.
    #[error("nothing came for {nanos} ns")]
    Silent {
        /// How long.
        nanos: u64,
    },
}

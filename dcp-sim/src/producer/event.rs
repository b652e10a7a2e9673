//! What a producer asks of its host.

use lowtide_checkpoint::{Seqno, Vbid};

/// What a host must act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerEvent {
    /// The vBucket is being handed over: it must die here, and say so by [`Producer::notify`](super::Producer::notify).
    TakenOver {
        /// The vBucket.
        vb: Vbid,
    },
    /// The consumer has every prepare of the vBucket up to there, as durable as it must be.
    Prepared {
        /// The vBucket.
        vb: Vbid,
        /// The last of them.
        seqno: Seqno,
    },
}

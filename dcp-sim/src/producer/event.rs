//! Events that a producer reports to its host.

use lowtide_checkpoint::{Seqno, Vbid};

/// Event that the host must handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerEvent {
    /// The vBucket is being handed over: it must become dead on this node, followed by
    /// [`Producer::notify`](super::Producer::notify).
    TakenOver {
        /// The vBucket.
        vb: Vbid,
    },
    /// The consumer acknowledged every prepare of the vBucket up to `seqno`.
    Prepared {
        /// The vBucket.
        vb: Vbid,
        /// The last acknowledged prepare.
        seqno: Seqno,
    },
}

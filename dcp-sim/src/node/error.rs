//! Errors of a node: the part that failed, and its connection.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{CheckpointError, VBucketError};
use lowtide_persistence::{EngineError, FetchError};

use super::config::NodeId;
use crate::consumer::ConsumerError;
use crate::producer::ProducerError;

/// Error of a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A vBucket refused the operation.
    #[error(transparent)]
    VBucket(#[from] VBucketError),
    /// A flush did not start.
    #[error("cannot start a flush: {0}")]
    Flush(#[from] CheckpointError),
    /// The engine could not be read for a write, which is refused.
    #[error("cannot look up the newest revision: {0}")]
    Fetch(#[source] EngineError),
    /// The answer to a fetch is of another document.
    #[error("wrong answer of a fetch: {0}")]
    FetchAnswer(#[source] FetchError),
    /// The answer of an engine call is not one of that call.
    #[error("wrong answer of an engine call: {0}")]
    Answer(#[source] CheckpointError),
    /// The configuration of the quota is invalid.
    #[error("invalid quota: {0}")]
    Quota(#[source] CheckpointError),
    /// The connection to a consumer violated the protocol.
    #[error("connection to the consumer on node {peer}: {source}")]
    Producer {
        /// Node of the consumer.
        peer: NodeId,
        /// The reason.
        source: ProducerError,
    },
    /// The connection to a producer violated the protocol.
    #[error("connection to the producer on node {peer}: {source}")]
    Consumer {
        /// Node of the producer.
        peer: NodeId,
        /// The reason.
        source: ConsumerError,
    },
    /// The event names a vBucket or connection that does not exist on this node.
    #[error("no such {what} on this node")]
    NotHere {
        /// Kind of the missing object.
        what: &'static str,
    },
    /// The node has found itself in an impossible state, which is a bug of this crate or of the host.
    ///
    /// The event may be half done. The host creates the node again from its store. Debug builds and
    /// tests panic instead.
    #[error("internal error: invariant {invariant} is violated: {what}")]
    Internal {
        /// Invariant that does not hold, as `docs/invariants.md` names it.
        invariant: &'static str,
        /// Condition that does not hold.
        what: &'static str,
    },
}

impl From<Violation> for NodeError {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal { invariant, what }
    }
}

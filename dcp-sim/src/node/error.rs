//! Errors of a node: the part that failed, and its connection.

use lowtide_checkpoint::{CheckpointError, VBucketError};

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
}

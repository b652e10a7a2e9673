//! Why a node can't go on: which of its parts failed, and on which connection.

use lowtide_checkpoint::{CheckpointError, VBucketError};

use super::config::NodeId;
use crate::consumer::ConsumerError;
use crate::producer::ProducerError;

/// Why a node can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A vBucket refused.
    #[error(transparent)]
    VBucket(#[from] VBucketError),
    /// A flush could not be started.
    #[error("a flush could not be started: {0}")]
    Flush(#[from] CheckpointError),
    /// The connection to a consumer broke its rules.
    #[error("connection to the consumer on node {peer}: {source}")]
    Producer {
        /// Where the consumer is.
        peer: NodeId,
        /// The reason.
        source: ProducerError,
    },
    /// The connection to a producer broke its rules.
    #[error("connection to the producer on node {peer}: {source}")]
    Consumer {
        /// Where the producer is.
        peer: NodeId,
        /// The reason.
        source: ConsumerError,
    },
    /// An event for a vBucket or a connection that is not here.
    #[error("an event for {what} that is not here")]
    NotHere {
        /// What it was for.
        what: &'static str,
    },
}

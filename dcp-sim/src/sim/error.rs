//! Errors that end a simulation early.
//!
//! A violated invariant of the cluster is not an error but a verdict. One of the simulator itself
//! (W21) ends the run: its verdicts would prove less than they say.

use lowtide_checkpoint::internal::Violation;
use lowtide_persistence::EngineError;
use lowtide_persistence::disk::DiskError;

use crate::consumer::ConsumerEvent;
use crate::input::InputError;
use crate::node::{NodeError, NodeId};

/// Error that ends a simulation early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The cluster's configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// The source of writes failed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A write exceeds the limits of the nodes.
    #[error("{label}: the {what} of {key} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Label of the batch.
        label: String,
        /// The key, or its first bytes.
        key: String,
        /// Key or value.
        what: &'static str,
        /// Size of the part.
        bytes: usize,
        /// Largest allowed size.
        limit: usize,
    },
    /// The disk below a store failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A store failed during setup or reopening.
    #[error("node {node}: {source}")]
    Engine {
        /// Node of the store.
        node: NodeId,
        /// The reason.
        source: EngineError,
    },
    /// A node returned an error.
    #[error("node {node} at {micros} us: {source}")]
    Node {
        /// The node.
        node: NodeId,
        /// Virtual time of the error.
        micros: u64,
        /// The reason.
        source: NodeError,
    },
    /// A stream stopped in a run without faults.
    #[error("node {node} at {micros} us: the stream from node {peer} stopped: {event:?}")]
    StreamStopped {
        /// Node of the consumer.
        node: NodeId,
        /// Virtual time of the error.
        micros: u64,
        /// Node of the producer.
        peer: NodeId,
        /// Event of the consumer.
        event: ConsumerEvent,
    },
    /// A client waits for checkpoint memory, and no scheduled event can free any.
    #[error(
        "a node uses {used_bytes} bytes of checkpoint memory, above the quota of {quota_bytes}, and no event can free any"
    )]
    Stalled {
        /// Bytes used by the fullest node.
        used_bytes: usize,
        /// Quota of a node.
        quota_bytes: usize,
    },
    /// The trace could not be written.
    #[error("cannot write the trace: {0}")]
    Trace(#[source] std::io::Error),
    /// The data directory is in use.
    #[error("{path} is not empty")]
    DataNotEmpty {
        /// The directory.
        path: std::path::PathBuf,
    },
    /// The simulator's own state is wrong: a bug of the simulator.
    #[error("internal error: invariant {invariant} is violated: {what}")]
    Internal {
        /// The invariant's id in `docs/invariants.md`.
        invariant: &'static str,
        /// The condition that does not hold.
        what: &'static str,
    },
}

impl From<Violation> for SimError {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal { invariant, what }
    }
}

//! Why a simulation could not run to its end. Broken invariants are no errors: they are what a run is for.

use lowtide_persistence::EngineError;
use lowtide_persistence::disk::DiskError;

use crate::consumer::ConsumerEvent;
use crate::input::InputError;
use crate::node::{NodeError, NodeId};

/// What kept a simulation from its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A cluster that can't be.
    #[error("{0}")]
    Config(String),
    /// The source of writes failed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A write that nodes can't hold or send.
    #[error("{label}: the {what} of {key} has {bytes} bytes; there may be {limit}")]
    TooLarge {
        /// Where it is from.
        label: String,
        /// The key, or its start.
        key: String,
        /// Which part of the write.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The disk below a store failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A store could not be set up or reopened.
    #[error("node {node}: {source}")]
    Engine {
        /// Whose store.
        node: NodeId,
        /// The reason.
        source: EngineError,
    },
    /// A node could not go on.
    #[error("node {node} at {micros} us: {source}")]
    Node {
        /// Which.
        node: NodeId,
        /// When, in virtual time.
        micros: u64,
        /// The reason.
        source: NodeError,
    },
    /// A stream did not go on though nothing was to go wrong.
    #[error("node {node} at {micros} us: the stream from node {peer} stopped: {event:?}")]
    StreamStopped {
        /// Where the consumer is.
        node: NodeId,
        /// When, in virtual time.
        micros: u64,
        /// Where the producer is.
        peer: NodeId,
        /// What it said.
        event: ConsumerEvent,
    },
    /// A client waits for checkpoint memory, and nobody has anything to do that would free some.
    #[error(
        "{used_bytes} bytes of a node's checkpoint memory are used, {quota_bytes} may be, and nothing frees any"
    )]
    Stalled {
        /// What the fullest node uses.
        used_bytes: usize,
        /// What it may.
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
}

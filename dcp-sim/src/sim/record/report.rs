//! Report of a run, in figures. All times are virtual: the same run gives the same report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timeline::Timeline;
use super::verdict::InvariantVerdict;
use crate::sim::shape::Shape;

/// Report of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Description of the source of writes.
    pub source: String,
    /// The seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Replicas of each vBucket.
    pub replicas: usize,
    /// Number of vBuckets.
    pub vbuckets: u16,
    /// Drawn shape of the cluster, if it was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Figures of the whole cluster.
    pub figures: Figures,
    /// Figures of the faults, in a run with faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultFigures>,
    /// Figures of each node.
    pub per_node: Vec<NodeFigures>,
    /// One verdict per invariant.
    pub verdicts: Vec<InvariantVerdict>,
    /// Course of the run over time, if it was recorded.
    #[serde(skip)]
    pub timeline: Option<Timeline>,
}

impl Report {
    /// Returns `true` if every invariant held.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdicts.iter().all(InvariantVerdict::holds)
    }
}

/// Figures of the whole cluster.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Figures {
    /// Batches of the source: commits of a history, lines of a file.
    pub batches: u64,
    /// Writes to actives.
    pub mutations: u64,
    /// Sets among the writes.
    pub sets: u64,
    /// Deletes among the writes.
    pub deletes: u64,
    /// Documents at the end.
    pub documents: u64,
    /// Bytes of the documents' values.
    pub document_bytes: u64,
    /// Virtual time from the first write until everything was durable everywhere.
    pub virtual_micros: u64,
    /// Simulated events.
    pub events: u64,
    /// Largest number of bytes in any node's checkpoint managers.
    pub checkpoint_bytes_max: usize,
    /// Largest lag of a replica in seqnos, measured after batches.
    pub lag_seqnos_max: u64,
    /// Waits of clients for checkpoint memory.
    pub client_waits: u64,
    /// Bytes on the network.
    pub network_bytes: u64,
    /// Pieces of bytes on the network.
    pub network_messages: u64,
}

/// Figures of one node.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct NodeFigures {
    /// Operations queued in its checkpoint managers.
    pub queued: u64,
    /// Operations replaced by a newer revision before they were read.
    pub deduplicated: u64,
    /// Operations expelled from open checkpoints.
    pub expelled: u64,
    /// Operations removed with a closed checkpoint.
    pub removed: u64,
    /// Commits of its flusher.
    pub flushes: u64,
    /// Items written by its flusher.
    pub persisted: u64,
    /// Syncs of its disk.
    pub disk_syncs: u64,
    /// Bytes written to its disk.
    pub disk_written_bytes: u64,
    /// Live documents in its store.
    pub store_documents: u64,
    /// Bytes of its store's files.
    pub store_bytes: u64,
}

/// Figures of a run with faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FaultFigures {
    /// Number of faults of each kind.
    pub struck: BTreeMap<&'static str, u64>,
    /// Writes with an answer to the client.
    pub acknowledged: u64,
    /// Accepted writes whose answer was lost.
    pub unknown: u64,
    /// Writes refused or not sent.
    pub refused: u64,
    /// Branches started, by fail-overs and by actives after an unclean stop.
    pub branches: u64,
    /// Writes lost with their branch.
    pub lost_with_branch: u64,
    /// Rollbacks of copies.
    pub rollbacks: u64,
    /// Reads on replicas.
    pub reads: u64,
    /// Reads without an answer: the node was unreachable, or had no complete snapshot.
    pub reads_refused: u64,
    /// Connections opened.
    pub connections: u64,
    /// Streams that ended because their client took nothing.
    pub slow_streams: u64,
    /// Failed flushes and engine calls.
    pub engine_failures: u64,
    /// Virtual time from the last fault until the cluster was at rest.
    pub settling_micros: u64,
    /// Figures of the foreign clients.
    pub clients: ClientFigures,
}

/// Figures of the foreign clients of a run with faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClientFigures {
    /// Number of clients.
    pub clients: u64,
    /// Connections opened.
    pub connections: u64,
    /// Connections lost.
    pub connections_lost: u64,
    /// Streams requested.
    pub streams: u64,
    /// Stream requests refused.
    pub refused: u64,
    /// Items received.
    pub items: u64,
    /// Rollbacks requested by producers.
    pub rollbacks: u64,
    /// Rollbacks to seqno 0.
    pub started_over: u64,
    /// Streams that ended, by reason.
    pub ends: BTreeMap<&'static str, u64>,
}

//! What a run found, in figures. Everything here is virtual: the same run gives the same report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timeline::Timeline;
use super::verdict::Verdict;
use crate::sim::shape::Shape;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was written, and where from.
    pub source: String,
    /// The seed.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// Copies of each vBucket beside the active.
    pub replicas: usize,
    /// vBuckets.
    pub vbuckets: u16,
    /// What was drawn, of a cluster that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// The event.
    pub figures: Figures,
    /// What went wrong, in a run in which something was to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultFigures>,
    /// What happened on each node.
    pub per_node: Vec<NodeFigures>,
    /// One verdict per invariant.
    pub verdicts: Vec<Verdict>,
    /// What it looked like over time, if that was recorded.
    #[serde(skip)]
    pub timeline: Option<Timeline>,
}

impl Report {
    /// Whether every invariant held.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdicts.iter().all(Verdict::holds)
    }
}

/// Figures of the whole cluster.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Batches the source had: commits of a history, lines of a file.
    pub batches: u64,
    /// Writes to actives.
    pub mutations: u64,
    /// Of these, sets.
    pub sets: u64,
    /// Of these, deletes.
    pub deletes: u64,
    /// Documents in the end.
    pub documents: u64,
    /// Bytes of their values.
    pub document_bytes: u64,
    /// Virtual time from the first write until everything was durable everywhere.
    pub virtual_micros: u64,
    /// Events simulated.
    pub events: u64,
    /// Most bytes any node's checkpoint managers held at once.
    pub checkpoint_bytes_max: usize,
    /// Most seqnos any replica was behind its active, when looked at after a batch.
    pub lag_seqnos_max: u64,
    /// Times a client had to wait for checkpoint memory.
    pub client_waits: u64,
    /// Bytes on the network.
    pub network_bytes: u64,
    /// Pieces of bytes on the network.
    pub network_messages: u64,
}

/// Figures of one node.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct NodeFigures {
    /// Operations that were queued in its checkpoint managers.
    pub queued: u64,
    /// Of these, replaced by a newer revision before anyone needed them.
    pub deduplicated: u64,
    /// Of these, expelled from open checkpoints.
    pub expelled: u64,
    /// Of these, gone with a closed checkpoint.
    pub removed: u64,
    /// Engine calls of its flusher.
    pub flushes: u64,
    /// Items those wrote.
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
pub struct FaultFigures {
    /// How often each kind struck.
    pub struck: BTreeMap<&'static str, u64>,
    /// Writes whose client was told that they were taken.
    pub acknowledged: u64,
    /// Writes that were taken and whose client got no answer.
    pub unknown: u64,
    /// Writes that were refused, or could not be sent.
    pub refused: u64,
    /// Branches that began, at fail-overs and at starts of actives that had not stopped in order.
    pub branches: u64,
    /// Writes that were lost with the branch they were on.
    pub lost_with_branch: u64,
    /// Times a copy was rolled back.
    pub rollbacks: u64,
    /// Reads on replicas.
    pub reads: u64,
    /// Of these, the ones that could not be answered: nobody there, or nothing to show.
    pub reads_refused: u64,
    /// Connections made.
    pub connections: u64,
    /// Streams that ended because their backfill stood still.
    pub slow_streams: u64,
    /// Flushes and other engine calls that failed.
    pub engine_failures: u64,
    /// Virtual time from the last fault until everything was at rest.
    pub settling_micros: u64,
    /// What foreign clients did.
    pub clients: ClientFigures,
}

/// Figures of the foreign clients of a run with faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClientFigures {
    /// Clients.
    pub clients: u64,
    /// Connections they made.
    pub connections: u64,
    /// Of these, lost.
    pub connections_lost: u64,
    /// Streams they asked for.
    pub streams: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Items they got.
    pub items: u64,
    /// Times one was told to go back.
    pub rollbacks: u64,
    /// Of these, to the beginning.
    pub started_over: u64,
    /// Streams that ended, by reason.
    pub ends: BTreeMap<&'static str, u64>,
}

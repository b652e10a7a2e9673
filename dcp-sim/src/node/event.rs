//! Events and actions of a node.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Seqno, State, VbUuid, Vbid};
use lowtide_persistence::{
    BackfillOutcome, BackfillStep, CommittedGroup, EngineCall, EngineError, FlushGroup,
};

use super::config::NodeId;
use super::engine::CallDone;
use super::pending_write::PendingWrite;
use crate::consumer::ConsumerEvent;

/// Event of a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client writes to an active vBucket. `None` deletes.
    Write {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The value.
        value: Option<Bytes>,
    },
    /// The engine was read for a write.
    Fetched {
        /// The write.
        write: PendingWrite,
        /// The engine's newest committed revision of its key.
        stored: Result<Option<Item>, EngineError>,
    },
    /// Bytes arrived from the consumer on that node.
    FromConsumer {
        /// Node of the consumer.
        peer: NodeId,
        /// Received bytes.
        bytes: Bytes,
    },
    /// Bytes arrived from the producer on that node.
    FromProducer {
        /// Node of the producer.
        peer: NodeId,
        /// Received bytes.
        bytes: Bytes,
    },
    /// The connection to the consumer on that node was closed.
    ConsumerGone {
        /// Node of the consumer.
        peer: NodeId,
    },
    /// The connection to the producer on that node was closed.
    ProducerGone {
        /// Node of the producer.
        peer: NodeId,
    },
    /// A flush of a shard is due.
    FlushDue {
        /// Number of the shard.
        shard: usize,
    },
    /// The engine answered a flush.
    FlushDone {
        /// Number of the shard.
        shard: usize,
        /// The group, with the engine's results.
        group: CommittedGroup,
    },
    /// The engine answered a call.
    EngineDone(CallDone),
    /// The pause of a failed engine call is over.
    Retry(EngineCall),
    /// Sending to that node's consumer is due.
    SendDue {
        /// Node of the consumer.
        peer: NodeId,
    },
    /// The engine executed a step of a backfill.
    Backfilled {
        /// Node of the consumer.
        peer: NodeId,
        /// Number of the connection.
        connection: u64,
        /// Outcome of the step.
        outcome: BackfillOutcome,
    },
    /// Time passes; connections detect idle peers. The host sends it now and then.
    Tick,
    /// Tombstones up to `seqno` were purged from the vBucket's disk.
    Purged {
        /// The vBucket.
        vb: Vbid,
        /// Seqno of the highest purged tombstone.
        seqno: Seqno,
    },
    /// Create a vBucket as an empty replica. `uuid` names its history until the active's failover
    /// log replaces it.
    Create {
        /// The vBucket.
        vb: Vbid,
        /// A branch name that no other vBucket uses.
        uuid: VbUuid,
    },
    /// Drop a vBucket with all its data.
    Drop {
        /// The vBucket.
        vb: Vbid,
    },
    /// Change a vBucket's state. One that becomes active starts the branch `uuid`, or continues its
    /// active's branch.
    SetState {
        /// The vBucket.
        vb: Vbid,
        /// The new state.
        state: State,
        /// Name of the branch to start, if any.
        uuid: Option<VbUuid>,
    },
}

/// Action that the host executes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Send bytes to the producer on that node.
    ToProducer(NodeId, Bytes),
    /// Send bytes to the consumer on that node.
    ToConsumer(NodeId, Bytes),
    /// Commit the group, then report [`Event::FlushDone`].
    Commit {
        /// Number of the shard whose flush it is.
        shard: usize,
        /// The group.
        group: FlushGroup,
    },
    /// Read the engine for a write ([`PendingWrite::read`]), then report [`Event::Fetched`].
    Fetch(PendingWrite),
    /// Run the step on the engine, then report [`Event::Backfilled`].
    Backfill {
        /// Node of the stream's consumer.
        peer: NodeId,
        /// Number of the connection.
        connection: u64,
        /// The step.
        step: BackfillStep,
    },
    /// Run the engine call ([`run_call`](super::run_call)), then report [`Event::EngineDone`].
    Call(EngineCall),
    /// Report [`Event::FlushDue`].
    WakeFlusher {
        /// Number of the shard that became due.
        shard: usize,
    },
    /// Report [`Event::SendDue`].
    WakeSender(NodeId),
    /// Report the event after a pause.
    Later {
        /// Length of the pause in microseconds.
        pause_micros: u64,
        /// The event.
        event: Box<Event>,
    },
    /// The consumer on that node has every prepare of the vBucket up to `seqno`, as durable as
    /// required.
    Prepared {
        /// Node of the consumer.
        peer: NodeId,
        /// The vBucket.
        vb: Vbid,
        /// The last acknowledged prepare.
        seqno: Seqno,
    },
    /// A step of a takeover: the vBucket on this node has this state now.
    StateSet {
        /// The vBucket.
        vb: Vbid,
        /// The new state.
        state: State,
    },
    /// A client's write was accepted.
    Written {
        /// The vBucket.
        vb: Vbid,
        /// The item, with its seqno and CAS.
        item: Item,
    },
    /// A flush of the vBucket is durable.
    Persisted {
        /// The vBucket.
        vb: Vbid,
        /// Seqno up to which everything is on disk.
        seqno: Seqno,
        /// Seqno up to which the disk has complete snapshots only.
        whole: Seqno,
        /// Number of items written for it.
        items: usize,
    },
    /// A flush or an engine call failed. The node retries it.
    EngineFailed {
        /// Name of the operation.
        what: &'static str,
        /// The error.
        error: EngineError,
    },
    /// A vBucket was rolled back in memory and on disk. It requests its stream again.
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// Its last seqno.
        seqno: Seqno,
    },
    /// The engine created or dropped the vBucket. Only now can it follow, or be created again.
    Settled {
        /// The vBucket.
        vb: Vbid,
    },
    /// A stream did not open, or ended. The host decides which node the vBucket follows next.
    StreamStopped {
        /// Node of the producer.
        peer: NodeId,
        /// Event of the consumer.
        event: ConsumerEvent,
    },
}

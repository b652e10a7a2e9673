//! What happens to a node, and what it wants done.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Key, Seqno, State, VbUuid, Vbid};
use lowtide_persistence::{BackfillOutcome, BackfillStep, CommittedGroup, EngineError, FlushGroup};

use super::config::NodeId;
use super::engine::{EngineCall, EngineDone};
use crate::consumer::ConsumerEvent;

/// What happens to a node.
#[derive(Debug)]
pub enum Event {
    /// A client writes to an active vBucket: `None` deletes.
    Write {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The value.
        value: Option<Bytes>,
    },
    /// Bytes came from the consumer on that node.
    FromConsumer {
        /// Where the consumer is.
        peer: NodeId,
        /// What it sent.
        bytes: Bytes,
    },
    /// Bytes came from the producer on that node.
    FromProducer {
        /// Where the producer is.
        peer: NodeId,
        /// What it sent.
        bytes: Bytes,
    },
    /// The connection to the consumer on that node is over.
    ConsumerGone {
        /// Where the consumer was.
        peer: NodeId,
    },
    /// The connection to the producer on that node is over.
    ProducerGone {
        /// Where the producer was.
        peer: NodeId,
    },
    /// It is time to flush.
    FlushDue,
    /// The engine has answered a flush.
    FlushDone(CommittedGroup),
    /// The engine has answered anything else.
    EngineDone(EngineDone),
    /// It is time to try an engine call again that failed.
    Retry(EngineCall),
    /// It is time to send to that node's consumer.
    SendDue {
        /// Where the consumer is.
        peer: NodeId,
    },
    /// The engine has done a step of a backfill.
    Backfilled {
        /// Where the consumer is.
        peer: NodeId,
        /// Which of its connections.
        connection: u64,
        /// What the step gave.
        outcome: BackfillOutcome,
    },
    /// Now and then, so that connections notice when nobody is there.
    Tick,
    /// Tombstones up to there were purged from the vBucket's disk.
    Purged {
        /// The vBucket.
        vb: Vbid,
        /// The highest of them.
        seqno: Seqno,
    },
    /// A vBucket is to be made, empty and following; `uuid` is what its history is called until its active says otherwise.
    Create {
        /// The vBucket.
        vb: Vbid,
        /// Names a branch that nobody else has.
        uuid: VbUuid,
    },
    /// A vBucket is to go, with all it has.
    Drop {
        /// The vBucket.
        vb: Vbid,
    },
    /// A vBucket's role changes. One that becomes active starts a branch named `uuid`, or goes on with its active's.
    SetState {
        /// The vBucket.
        vb: Vbid,
        /// Its new role.
        state: State,
        /// The branch it starts, if it does.
        uuid: Option<VbUuid>,
    },
}

/// What a node wants done.
#[derive(Debug)]
pub enum Action {
    /// Send bytes to the producer on that node.
    ToProducer(NodeId, Bytes),
    /// Send bytes to the consumer on that node.
    ToConsumer(NodeId, Bytes),
    /// Commit, and come back with [`Event::FlushDone`].
    Commit(FlushGroup),
    /// Run it on the engine, and come back with [`Event::Backfilled`].
    Backfill {
        /// Where the consumer is whose stream needs it.
        peer: NodeId,
        /// Which of its connections.
        connection: u64,
        /// What to run.
        step: BackfillStep,
    },
    /// Call the engine, and come back with [`Event::EngineDone`].
    Call(EngineCall),
    /// Come back with [`Event::FlushDue`].
    WakeFlusher,
    /// Come back with [`Event::SendDue`].
    WakeSender(NodeId),
    /// Come back with that event after so many microseconds.
    Later(u64, Box<Event>),
    /// The consumer on that node has every prepare up to there, as durable as it must be.
    Prepared {
        /// Where the consumer is.
        peer: NodeId,
        /// The vBucket.
        vb: Vbid,
        /// The last acknowledged prepare.
        seqno: Seqno,
    },
    /// A step of a takeover: the vBucket is this here now.
    StateSet {
        /// The vBucket.
        vb: Vbid,
        /// What it is.
        state: State,
    },
    /// A client's write was taken.
    Written {
        /// The vBucket.
        vb: Vbid,
        /// Position in the vBucket's order.
        seqno: Seqno,
        /// Its CAS.
        cas: Cas,
    },
    /// A vBucket is durable up to there.
    Persisted {
        /// The vBucket.
        vb: Vbid,
        /// Everything up to this seqno is on disk.
        seqno: Seqno,
        /// Up to here the disk has whole snapshots only.
        whole: Seqno,
        /// Items written for it.
        items: usize,
    },
    /// A flush or an engine call failed; the node tries again by itself.
    EngineFailed {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: EngineError,
    },
    /// A vBucket was rolled back, in memory and on disk, and asks its active to go on from there.
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// The last seqno it has now.
        seqno: Seqno,
    },
    /// The engine has made or dropped a vBucket: only now it can follow, or be made anew.
    Settled {
        /// The vBucket.
        vb: Vbid,
    },
    /// A stream did not open, or ended: somebody must decide where the vBucket goes on.
    StreamStopped {
        /// Where its producer is.
        peer: NodeId,
        /// What it said.
        event: ConsumerEvent,
    },
}

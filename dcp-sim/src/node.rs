//! One node: its vBuckets, their flusher, and both ends of its connections. No I/O, no clock.
//!
//! Events go in with the time they happen at, actions come out for the host to carry out: bytes to send, batches to
//! commit. An engine call is one action, its result a later event, so that the host decides how long a disk takes and
//! what happens meanwhile. What always holds: a node acts only inside [`Node::step`]; one flush is in progress at
//! most; whoever must be woken is woken once per change from idle to busy (S8).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use checkpoint::{
    CheckpointConfig, CheckpointStats, Item, Key, ReadLimit, Seqno, VBucket, VBucketState, Vbid,
};
use persistence::{BackfillOutcome, BackfillStep, CommittedGroup, FlushGroup, Flushed, Flusher};

use crate::consumer::{Consumer, ConsumerEvent};
use crate::producer::Producer;
use crate::wire::StreamEndReason;

mod documents;
mod error;
mod partitions;
mod prepares;
mod streams;

pub use documents::{Document, Documents};
pub use error::NodeError;
pub use partitions::Partition;

use partitions::PartitionTable;

/// Names a node to its peers.
pub type NodeId = usize;

/// Bytes of stream messages handed to the network at once.
const SEND_BYTES: usize = 256 * 1024;

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
    /// It is time to flush.
    FlushDue,
    /// The engine has answered.
    FlushDone(CommittedGroup),
    /// It is time to send to that node's consumer.
    SendDue {
        /// Where the consumer is.
        peer: NodeId,
    },
    /// The engine has done a step of a backfill.
    Backfilled {
        /// Where the consumer is.
        peer: NodeId,
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
        /// What to run.
        step: BackfillStep,
    },
    /// Come back with [`Event::FlushDue`].
    WakeFlusher,
    /// Come back with [`Event::SendDue`].
    WakeSender(NodeId),
    /// The consumer on that node has every prepare up to there, as durable as it must be.
    Prepared {
        /// Where the consumer is.
        peer: NodeId,
        /// The vBucket.
        vb: Vbid,
        /// The last of them.
        seqno: Seqno,
    },
    /// A vBucket is durable up to there.
    Persisted {
        /// The vBucket.
        vb: Vbid,
        /// Everything up to this seqno is on disk.
        seqno: Seqno,
        /// Items written for it.
        items: usize,
    },
}

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// An active's checkpoint is closed at this size.
    pub checkpoint_bytes_max: usize,
    /// Flow-control buffer of each incoming stream connection.
    pub buffer_bytes: u32,
    /// What a flush reads from one vBucket at once.
    pub flush_limit: ReadLimit,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            checkpoint_bytes_max: 1 << 20,
            buffer_bytes: 10 << 20,
            flush_limit: ReadLimit { items: 10_000, bytes: 16 << 20 },
        }
    }
}

/// A node of the cluster.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    partitions: PartitionTable,
    flusher: Flusher,
    /// vBuckets with something to persist.
    dirty: BTreeSet<Vbid>,
    is_flushing: bool,
    /// Highest purged tombstones.
    purged: BTreeMap<Vbid, Seqno>,
    producers: BTreeMap<NodeId, Producer>,
    consumers: BTreeMap<NodeId, Consumer>,
}

impl Node {
    /// A node without vBuckets.
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        Self {
            flusher: Flusher::new(config.flush_limit),
            config,
            partitions: PartitionTable::default(),
            dirty: BTreeSet::new(),
            is_flushing: false,
            purged: BTreeMap::new(),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
        }
    }

    /// Gives it a vBucket with what is on disk of it: `state`, the seqno `high` and those documents.
    pub fn add_vbucket(&mut self, vb: Vbid, state: &VBucketState, high: Seqno, documents: Documents) {
        let config = CheckpointConfig {
            max_bytes: Some(self.config.checkpoint_bytes_max),
            persistence: true,
            ..CheckpointConfig::default()
        };
        let vbucket = VBucket::new(vb, state, high, config);
        self.flusher.attach(vb, state.clone(), high);
        self.partitions.insert(vb, Partition { vbucket, documents });
    }

    /// Awaits the consumer on `peer`, whose streams are fed from here.
    pub fn accept(&mut self, peer: NodeId) {
        self.producers.insert(peer, Producer::new(&format!("replication:{peer}")));
    }

    /// Connects to the producer on `peer` and asks for these vBuckets.
    ///
    /// # Errors
    /// If it lacks one of them.
    pub fn follow(&mut self, peer: NodeId, vbs: &[Vbid]) -> Result<Vec<Action>, NodeError> {
        let wrong = |source| NodeError::Consumer { peer, source };
        let mut consumer =
            Consumer::new(&format!("replication:{peer}"), self.config.buffer_bytes).map_err(wrong)?;
        for &vb in vbs {
            let partition = self.partitions.get(vb).ok_or(NodeError::NotHere { what: "a vBucket" })?;
            consumer.request_stream(vb, partition.vbucket.resume_point()).map_err(wrong)?;
        }
        let bytes = consumer.take_output();
        self.consumers.insert(peer, consumer);
        Ok(vec![Action::ToProducer(peer, bytes)])
    }

    /// Its vBuckets, by number.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter()
    }

    /// The vBucket of that number.
    #[must_use]
    pub fn partition(&self, vb: Vbid) -> Option<&Partition> {
        self.partitions.get(vb)
    }

    /// Everything up to this seqno is on disk here.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.flusher.persisted_seqno(vb)
    }

    /// Whether everything it has is on disk and it has nothing to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.dirty.is_empty() && !self.is_flushing && !self.producers.values().any(Producer::has_more)
    }

    /// Bytes of its checkpoint managers.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> usize {
        self.checkpoint_stats().map(|stats| stats.memory_bytes()).sum()
    }

    /// The counters of its checkpoint managers.
    pub fn checkpoint_stats(&self) -> impl Iterator<Item = CheckpointStats> {
        self.partitions.iter().map(|partition| partition.vbucket.manager().stats())
    }

    /// Takes one event at `now` (nanoseconds since the epoch).
    ///
    /// # Errors
    /// When the node can't go on as it is.
    pub fn step(&mut self, event: Event, now: u64) -> Result<Vec<Action>, NodeError> {
        let mut actions = Vec::new();
        match event {
            Event::Write { vb, key, value } => self.write(vb, key, value, now, &mut actions)?,
            Event::FromConsumer { peer, bytes } => self.receive_from_consumer(peer, &bytes, &mut actions)?,
            Event::FromProducer { peer, bytes } => self.receive_from_producer(peer, &bytes, &mut actions)?,
            Event::FlushDue => self.flush(&mut actions)?,
            Event::FlushDone(group) => self.flushed(group, &mut actions)?,
            Event::SendDue { peer } => self.send(peer, &mut actions)?,
            Event::Backfilled { peer, outcome } => self.backfilled(peer, outcome, &mut actions)?,
            Event::Tick => self.tick(now, &mut actions)?,
            Event::Purged { vb, seqno } => {
                let purged = self.purged.entry(vb).or_default();
                *purged = seqno.max(*purged);
            }
        }
        Ok(actions)
    }

    fn write(
        &mut self,
        vb: Vbid,
        key: Key,
        value: Option<Bytes>,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let partition = self.partitions.get_mut(vb).ok_or(NodeError::NotHere { what: "a vBucket" })?;
        let previous = partition.documents.get(&key).map_or(0, |document| document.rev_seqno);
        let mut item = match value {
            Some(value) => Item::mutation(key, value),
            // A deletion's time, in seconds.
            None => Item { expiry: (now / 1_000_000_000) as u32, ..Item::deletion(key) },
        };
        item.rev_seqno = previous + 1;
        let written = partition.vbucket.write(item.clone(), now)?;
        item.seqno = written.queued.seqno;
        item.cas = written.cas;
        partition.documents.apply(&item);
        self.queued(vb, actions);
        Ok(())
    }

    /// Something was queued in a vBucket: whoever reads from it and is idle is woken.
    fn queued(&mut self, vb: Vbid, actions: &mut Vec<Action>) {
        if self.dirty.is_empty() && !self.is_flushing {
            actions.push(Action::WakeFlusher);
        }
        self.dirty.insert(vb);
        for (&peer, producer) in &mut self.producers {
            let was_busy = producer.has_more();
            if producer.notify(vb) && !was_busy && producer.has_more() {
                actions.push(Action::WakeSender(peer));
            }
        }
    }

    fn receive_from_producer(
        &mut self,
        peer: NodeId,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let consumer =
            self.consumers.get_mut(&peer).ok_or(NodeError::NotHere { what: "a producer's connection" })?;
        let received = consumer.receive(bytes, &mut self.partitions);
        let events = received.map_err(|source| NodeError::Consumer { peer, source })?;
        let output = consumer.take_output();
        if !output.is_empty() {
            actions.push(Action::ToProducer(peer, output));
        }
        for vb in self.partitions.take_changed() {
            self.queued(vb, actions);
        }
        // A message that was refused is the producer's to judge.
        let goes_on = |event: &ConsumerEvent| {
            matches!(
                event,
                ConsumerEvent::StreamOpened(_)
                    | ConsumerEvent::StateSet { .. }
                    | ConsumerEvent::Refused { .. }
                    | ConsumerEvent::StreamEnded { reason: StreamEndReason::Ok, .. }
            )
        };
        match events.into_iter().find(|event| !goes_on(event)) {
            Some(event) => Err(NodeError::StreamStopped { peer, event }),
            None => Ok(()),
        }
    }

    fn flush(&mut self, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        if self.is_flushing {
            return Ok(());
        }
        let due = std::mem::take(&mut self.dirty);
        let vbuckets =
            due.iter().filter_map(|&vb| self.partitions.get(vb)).map(|partition| &partition.vbucket);
        let group = self.flusher.begin(vbuckets)?;
        if !group.is_empty() {
            self.is_flushing = true;
            actions.push(Action::Commit(group));
        }
        Ok(())
    }

    fn flushed(&mut self, group: CommittedGroup, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        self.is_flushing = false;
        for Flushed { vb, result } in self.flusher.finish(group) {
            let persisted = result?;
            actions.push(Action::Persisted { vb, seqno: persisted.seqno, items: persisted.items });
            self.prepared(vb, persisted.prepared, actions)?;
            if persisted.more {
                self.dirty.insert(vb);
            }
            if let Some(partition) = self.partitions.get(vb) {
                partition.vbucket.manager().expel();
            }
        }
        if !self.dirty.is_empty() {
            actions.push(Action::WakeFlusher);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! One node: its vBuckets, their flusher, and both ends of its connections. No I/O, no clock.
//!
//! Events go in with the time they happen at, actions come out for the host to carry out: bytes to send, batches to
//! commit, engine calls. An engine call is one action, its result a later event, so that the host decides how long a disk
//! takes and what happens meanwhile. What always holds, beside what the parts say: a node acts only inside
//! [`Node::step`]; whoever must be woken is woken once per change from idle to busy (S8).
//!
//! - N1. One engine operation is in progress at most: a flush or a call.
//! - N2. An engine that fails ends nothing: what it did not do is tried again, after a pause, and on a store that was
//!   reopened if it is poisoned.
//! - N3. Memory and disk go back together: from the moment a rollback is asked for until the engine has done it, the
//!   vBucket takes nothing.
//! - N4. A write is refused for lack of memory only when nothing more could be recovered.
//! - N6. So is a stream.
//! - N7, N8. A vBucket's engine calls come in their order, and it is settled when all are done (`node/calls.rs`).

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{
    CheckpointConfig, CheckpointStats, ItemLimits, Quota, QuotaConfig, ReadLimit, Seqno, VBucket,
    VBucketState, Vbid,
};
use lowtide_persistence::Flusher;

use crate::consumer::Consumer;
use crate::producer::{Collections, Producer, ProducerLimits};
use calls::Calls;
use partitions::PartitionTable;

mod calls;
mod connections;
mod documents;
mod engine_call;
mod error;
mod event;
mod flush;
mod lifecycle;
mod memory;
mod observation;
mod partitions;
mod prepares;
mod read;
mod stored;
mod streams;
mod write;

pub use documents::{Document, Documents};
pub use engine_call::{Attached, EngineAnswer, EngineCall, EngineDone};
pub use error::NodeError;
pub use event::{Action, Event};
pub use observation::Observation;
pub use partitions::Partition;
pub use read::{DiskReader, ReadError, Reader};
pub use stored::Stored;

/// Names a node to its peers.
pub type NodeId = usize;

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// An active's checkpoint is closed at this size.
    pub checkpoint_bytes_max: usize,
    /// Flow-control buffer of each incoming stream connection.
    pub buffer_bytes: u32,
    /// Bytes of stream messages handed to the network at once.
    pub send_bytes: usize,
    /// Limits of each outgoing stream connection.
    pub producer: ProducerLimits,
    /// What a flush reads from one vBucket at once.
    pub flush_limit: ReadLimit,
    /// What all its checkpoint managers may take; `None` for no limit.
    pub quota: Option<QuotaConfig>,
    /// Whether its engine, and those of the nodes it follows, keep each collection's newest tombstone
    /// ([`Capabilities::keeps_collections_highest`](lowtide_persistence::Capabilities)).
    pub keeps_collections_highest: bool,
    /// What its engine stores ([`Capabilities::limits`](lowtide_persistence::Capabilities)): its vBuckets accept that and no more.
    pub limits: ItemLimits,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            checkpoint_bytes_max: 1 << 20,
            buffer_bytes: 10 << 20,
            send_bytes: 256 * 1024,
            producer: ProducerLimits::default(),
            flush_limit: ReadLimit {
                items: 10_000,
                bytes: 16 << 20,
            },
            quota: None,
            keeps_collections_highest: false,
            limits: ItemLimits::DEFAULT,
        }
    }
}

/// A node of the cluster.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    quota: Option<Quota>,
    partitions: PartitionTable,
    flusher: Flusher,
    /// vBuckets with something to persist.
    dirty: BTreeSet<Vbid>,
    /// What the engine is to do beside flushes.
    calls: Calls,
    /// A flush or a call is under way.
    is_engine_busy: bool,
    /// Engine operations that failed one after the other: how long to wait for the next.
    failures: u32,
    /// Highest purged tombstones.
    purged: BTreeMap<Vbid, Seqno>,
    /// Connections accepted so far: each has a number, so that what comes late for one is not taken for another's.
    accepted: u64,
    producers: BTreeMap<NodeId, (u64, Producer)>,
    consumers: BTreeMap<NodeId, Consumer>,
    /// Where the stream of a vBucket that follows comes from.
    followed: BTreeMap<Vbid, NodeId>,
}

impl Node {
    /// A node without vBuckets.
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        // Also without a limit: it is the sum of what the managers take, without asking each. Marks out of order would be
        // the only reason to refuse.
        let no_limit = QuotaConfig {
            limit_bytes: usize::MAX,
            checkpoint_bytes_max: usize::MAX,
            ..QuotaConfig::default()
        };
        let quota = Quota::new(config.quota.unwrap_or(no_limit)).ok();
        Self {
            flusher: Flusher::new(config.flush_limit),
            config,
            quota,
            partitions: PartitionTable::default(),
            dirty: BTreeSet::new(),
            calls: Calls::default(),
            is_engine_busy: false,
            failures: 0,
            purged: BTreeMap::new(),
            accepted: 0,
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            followed: BTreeMap::new(),
        }
    }

    /// Gives it a vBucket that its store has made and nothing was ever committed of. One that the store has comes back by
    /// [`Node::warm_up`].
    pub fn add_vbucket(&mut self, vb: Vbid, state: &VBucketState) {
        let vbucket = VBucket::new(vb, state, self.checkpoint_config());
        self.insert(vbucket, state, Seqno::ZERO, Documents::default());
    }

    fn checkpoint_config(&self) -> CheckpointConfig {
        CheckpointConfig {
            max_bytes: Some(self.config.checkpoint_bytes_max),
            persistence: true,
            quota: self.quota.clone(),
            limits: self.config.limits,
            ..CheckpointConfig::default()
        }
    }

    fn insert(
        &mut self,
        vbucket: VBucket,
        state: &VBucketState,
        high: Seqno,
        documents: Documents,
    ) {
        let vb = vbucket.id();
        self.flusher.attach(vb, state.clone(), high);
        self.partitions.insert(
            vb,
            Partition {
                vbucket,
                documents,
                collections: Collections::default(),
            },
        );
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

    /// Whether a vBucket is here and neither being made, rolled back nor removed.
    #[must_use]
    pub fn is_settled(&self, vb: Vbid) -> bool {
        self.partitions.get(vb).is_some() && !self.calls.is_unsettled(vb)
    }

    /// Everything up to this seqno is on disk here.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.flusher.persisted_seqno(vb)
    }

    /// Whether everything it has is on disk and it has nothing to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let has_work = !self.dirty.is_empty() || !self.calls.is_empty() || self.is_engine_busy;
        !has_work
            && !self
                .producers
                .values()
                .any(|(_, producer)| producer.has_more())
    }

    /// Bytes of its checkpoint managers.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> usize {
        match &self.quota {
            Some(quota) => quota.used_bytes(),
            None => self
                .checkpoint_stats()
                .map(|stats| stats.memory_bytes())
                .sum(),
        }
    }

    /// The counters of its checkpoint managers.
    pub fn checkpoint_stats(&self) -> impl Iterator<Item = CheckpointStats> {
        self.partitions
            .iter()
            .map(|partition| partition.vbucket.manager().stats())
    }

    /// Takes one event at `now` (nanoseconds since the epoch).
    ///
    /// # Errors
    /// When a client is refused, a peer breaks the protocol, or the host names what is not here. Of what failed nothing
    /// has changed, but a connection whose peer broke the protocol is of no use any more.
    pub fn step(&mut self, event: Event, now: u64) -> Result<Vec<Action>, NodeError> {
        let mut actions = Vec::new();
        match event {
            Event::Write { vb, key, value } => self.write(vb, key, value, now, &mut actions)?,
            Event::FromConsumer { peer, bytes } => {
                self.receive_from_consumer(peer, &bytes, &mut actions)?
            }
            Event::FromProducer { peer, bytes } => {
                self.receive_from_producer(peer, bytes, &mut actions)?
            }
            Event::ConsumerGone { peer } => self.consumer_gone(peer),
            Event::ProducerGone { peer } => self.producer_gone(peer),
            Event::FlushDue => self.flush(&mut actions)?,
            Event::FlushDone(group) => self.flushed(group, &mut actions)?,
            Event::EngineDone(done) => self.engine_done(done, &mut actions)?,
            Event::Retry(call) => self.retry(call, &mut actions),
            Event::SendDue { peer } => self.send(peer, &mut actions)?,
            Event::Backfilled {
                peer,
                connection,
                outcome,
            } => {
                self.backfilled((peer, connection), outcome, &mut actions)?;
            }
            Event::Tick => self.tick(now, &mut actions)?,
            Event::Purged { vb, seqno } => self.purged(vb, seqno),
            Event::Create { vb, uuid } => self.create(vb, uuid, &mut actions)?,
            Event::Drop { vb } => self.drop_vbucket(vb, &mut actions)?,
            Event::SetState { vb, state, uuid } => self.set_state(vb, state, uuid, &mut actions)?,
        }
        Ok(actions)
    }

    /// Something was queued in a vBucket: whoever reads from it and is idle is woken.
    fn queued(&mut self, vb: Vbid, actions: &mut Vec<Action>) {
        let was_due = self.is_flush_due();
        self.dirty.insert(vb);
        if !was_due && self.is_flush_due() && !self.is_engine_busy {
            actions.push(Action::WakeFlusher);
        }
        for (&peer, (_, producer)) in &mut self.producers {
            let was_busy = producer.has_more();
            if producer.notify(vb) && !was_busy && producer.has_more() {
                actions.push(Action::WakeSender(peer));
            }
        }
    }

    /// Tombstones up to there may be missing in what it has of a vBucket.
    #[must_use]
    pub fn purge_seqno(&self, vb: Vbid) -> Seqno {
        streams::purge_seqno(
            &self.purged,
            vb,
            self.partitions.get(vb).map(|partition| &partition.vbucket),
        )
    }

    /// The purge seqno never falls but with a rollback.
    fn purged(&mut self, vb: Vbid, seqno: Seqno) {
        let purged = self.purged.entry(vb).or_default();
        *purged = seqno.max(*purged);
    }

    fn require(&mut self, vb: Vbid) -> Result<&mut Partition, NodeError> {
        self.partitions
            .get_mut(vb)
            .ok_or(NodeError::NotHere { what: "a vBucket" })
    }
}

#[cfg(test)]
mod tests;

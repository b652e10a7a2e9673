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
    CheckpointConfig, CheckpointStats, Quota, QuotaConfig, Seqno, VBucket, VBucketState, Vbid,
};
use lowtide_persistence::Flusher;

use super::config::{NodeConfig, NodeId};
use super::engine::Calls;
use super::error::NodeError;
use super::event::Action;
use super::streamed;
use super::vbuckets::{Documents, Partition, PartitionTable};
use crate::consumer::Consumer;
use crate::producer::{Collections, Producer};

/// A node of the cluster.
#[derive(Debug)]
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) quota: Option<Quota>,
    pub(super) partitions: PartitionTable,
    pub(super) flusher: Flusher,
    /// vBuckets with something to persist.
    pub(super) dirty: BTreeSet<Vbid>,
    /// What the engine is to do beside flushes.
    pub(super) calls: Calls,
    /// A flush or a call is under way.
    pub(super) is_engine_busy: bool,
    /// Engine operations that failed one after the other: how long to wait for the next.
    pub(super) failures: u32,
    /// Highest purged tombstones.
    pub(super) purged: BTreeMap<Vbid, Seqno>,
    /// Connections accepted so far: each has a number, so that what comes late for one is not taken for another's.
    pub(super) accepted: u64,
    pub(super) producers: BTreeMap<NodeId, (u64, Producer)>,
    pub(super) consumers: BTreeMap<NodeId, Consumer>,
    /// Where the stream of a vBucket that follows comes from.
    pub(super) followed: BTreeMap<Vbid, NodeId>,
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

    pub(super) fn checkpoint_config(&self) -> CheckpointConfig {
        CheckpointConfig {
            max_bytes: Some(self.config.checkpoint_bytes_max),
            persistence: true,
            quota: self.quota.clone(),
            limits: self.config.limits,
            ..CheckpointConfig::default()
        }
    }

    pub(super) fn insert(
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

    /// Something was queued in a vBucket: whoever reads from it and is idle is woken.
    pub(super) fn queued(&mut self, vb: Vbid, actions: &mut Vec<Action>) {
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
        streamed::purge_seqno(
            &self.purged,
            vb,
            self.partitions.get(vb).map(|partition| &partition.vbucket),
        )
    }

    /// The purge seqno never falls but with a rollback.
    pub(super) fn purged(&mut self, vb: Vbid, seqno: Seqno) {
        let purged = self.purged.entry(vb).or_default();
        *purged = seqno.max(*purged);
    }

    pub(super) fn require(&mut self, vb: Vbid) -> Result<&mut Partition, NodeError> {
        self.partitions
            .get_mut(vb)
            .ok_or(NodeError::NotHere { what: "a vBucket" })
    }
}

//! [`Node`]: the state of a node, and queries about it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{
    CheckpointConfig, CheckpointStats, Quota, QuotaConfig, Seqno, VBucket, VBucketState, Vbid,
};
use lowtide_persistence::{CacheBudget, Calls, FlushShard};

use super::config::{NodeConfig, NodeId};
use super::error::NodeError;
use super::event::Action;
use super::shards::Shards;
use super::streamed;
use super::vbuckets::{Partition, PartitionTable};
use crate::consumer::Consumer;
use crate::producer::{Collections, Producer};

/// A node of the cluster.
#[derive(Debug)]
pub struct Node {
    pub(super) config: NodeConfig,
    /// Sum of all checkpoint managers, and their limit.
    pub(super) quota: Quota,
    /// Limit of the documents in memory of all vBuckets.
    pub(super) cache: CacheBudget,
    pub(super) partitions: PartitionTable,
    pub(super) shards: Shards,
    /// Engine calls besides flushes.
    pub(super) calls: Calls,
    /// Purge seqno of each vBucket's disk.
    pub(super) purged: BTreeMap<Vbid, Seqno>,
    /// Number of connections accepted so far. Each has a number, so an outcome for an older
    /// connection is not given to a newer one.
    pub(super) accepted: u64,
    pub(super) producers: BTreeMap<NodeId, (u64, Producer)>,
    pub(super) consumers: BTreeMap<NodeId, Consumer>,
    /// Node that a vBucket follows.
    pub(super) followed: BTreeMap<Vbid, NodeId>,
}

impl Node {
    /// Creates a node without vBuckets.
    ///
    /// # Errors
    /// [`NodeError::Quota`] if the configuration of the quota is invalid; see [`Quota::new`].
    pub fn new(config: NodeConfig) -> Result<Self, NodeError> {
        // The quota without a limit provides the sum of all managers.
        let no_limit = QuotaConfig::default()
            .with_limit_bytes(usize::MAX)
            .with_checkpoint_bytes_max(usize::MAX);
        let quota = Quota::new(config.quota.unwrap_or(no_limit)).map_err(NodeError::Quota)?;
        Ok(Self {
            shards: Shards::new(config.flush_shards, config.flush_limit),
            cache: CacheBudget::new(config.cache_bytes),
            config,
            quota,
            partitions: PartitionTable::default(),
            calls: Calls::new(),
            purged: BTreeMap::new(),
            accepted: 0,
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            followed: BTreeMap::new(),
        })
    }

    /// Adds a vBucket that the store created and that has no commit. [`Node::warm_up`] adds a
    /// vBucket with commits.
    pub fn add_vbucket(&mut self, vb: Vbid, state: &VBucketState) {
        let vbucket = VBucket::new(vb, state, self.checkpoint_config());
        let (prepares, collections) = (Vec::new(), Collections::default());
        let partition = Partition::new(vbucket, &self.cache, Seqno::ZERO, prepares, collections);
        self.insert(partition, state, Seqno::ZERO);
    }

    pub(super) fn checkpoint_config(&self) -> CheckpointConfig {
        CheckpointConfig::persistent()
            .with_max_bytes(Some(self.config.checkpoint_bytes_max))
            .with_quota(self.quota.clone())
            .with_limits(self.config.limits)
    }

    pub(super) fn insert(&mut self, partition: Partition, state: &VBucketState, high: Seqno) {
        let vb = partition.vbucket.id();
        self.shards.of_mut(vb).attach(vb, state.clone(), high);
        self.partitions.insert(vb, partition);
    }

    /// Returns the vBuckets, by number.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter()
    }

    /// Returns the vBucket with that number.
    #[must_use]
    pub fn partition(&self, vb: Vbid) -> Option<&Partition> {
        self.partitions.get(vb)
    }

    /// Returns `true` if the vBucket exists and is not being created, rolled back or dropped.
    #[must_use]
    pub fn is_settled(&self, vb: Vbid) -> bool {
        self.partitions.get(vb).is_some() && !self.calls.is_unsettled(vb)
    }

    /// Returns the seqno up to which everything is on disk.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.shards.of(vb).persisted_seqno(vb)
    }

    /// Returns `true` if no write waits, everything is on disk and nothing is left to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_flushed = self.shards.iter().all(FlushShard::is_idle);
        let mut partitions = self.partitions.iter();
        is_flushed
            && partitions.all(|partition| partition.documents.stats().fetches == 0)
            && self.calls.is_empty()
            && !self
                .producers
                .values()
                .any(|(_, producer)| producer.has_more())
    }

    /// Returns the bytes of all checkpoint managers.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> usize {
        self.quota.used_bytes()
    }

    /// Returns the counters of the checkpoint managers.
    pub fn checkpoint_stats(&self) -> impl Iterator<Item = CheckpointStats> {
        self.partitions
            .iter()
            .map(|partition| partition.vbucket.manager().stats())
    }

    /// Wakes the flusher and the senders that are idle, after an item was queued.
    pub(super) fn queued(&mut self, vb: Vbid, actions: &mut Vec<Action>) {
        if self.shards.of_mut(vb).queued(vb) {
            let shard = self.shards.number(vb);
            actions.push(Action::WakeFlusher { shard });
        }
        for (&peer, (_, producer)) in &mut self.producers {
            wake_if_busy(peer, producer, actions, |producer| producer.notify(vb));
        }
    }

    /// Returns the seqno up to which tombstones may be missing on this node.
    #[must_use]
    pub fn purge_seqno(&self, vb: Vbid) -> Seqno {
        streamed::purge_seqno(
            &self.purged,
            vb,
            self.partitions.get(vb).map(|partition| &partition.vbucket),
        )
    }

    /// Raises the purge seqno. It falls only with a rollback.
    pub(super) fn purged(&mut self, vb: Vbid, seqno: Seqno) {
        let purged = self.purged.entry(vb).or_default();
        *purged = seqno.max(*purged);
    }

    pub(super) fn require(&mut self, vb: Vbid) -> Result<&mut Partition, NodeError> {
        self.partitions
            .get_mut(vb)
            .ok_or(NodeError::NotHere { what: "vBucket" })
    }
}

/// Runs `step` on a producer, and wakes its sender if it became busy (S8).
pub(super) fn wake_if_busy<T>(
    peer: NodeId,
    producer: &mut Producer,
    actions: &mut Vec<Action>,
    step: impl FnOnce(&mut Producer) -> T,
) -> T {
    let was_busy = producer.has_more();
    let result = step(producer);
    if !was_busy && producer.has_more() {
        actions.push(Action::WakeSender(peer));
    }
    result
}

//! Configuration of a node.

use lowtide_checkpoint::{ItemLimits, QuotaConfig, ReadLimit};
use lowtide_persistence::Capabilities;

use crate::producer::ProducerLimits;

/// Number of a node, known to its peers.
pub type NodeId = usize;

/// Configuration of a node.
///
/// The fields can be read and assigned; new ones may be added in any release. A literal of it is
/// built with the setters:
///
/// ```
/// use dcp_sim::node::NodeConfig;
///
/// let config = NodeConfig::new().with_buffer_bytes(1 << 20).with_send_bytes(64 * 1024);
/// assert_eq!(config.buffer_bytes, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Size at which an active's checkpoint is closed. *Default*: 1 MiB.
    pub checkpoint_bytes_max: usize,
    /// Flow-control buffer of each incoming stream connection. *Default*: 10 MiB.
    pub buffer_bytes: u32,
    /// Bytes of stream messages passed to the network at once. *Default*: 256 KiB.
    pub send_bytes: usize,
    /// Limits of each outgoing stream connection.
    pub producer: ProducerLimits,
    /// Limit of a flush's read from one vBucket. *Default*: 10,000 items, 16 MiB.
    pub flush_limit: ReadLimit,
    /// Number of shards, whose flushes are in progress at once; at least 1. vBucket N belongs to
    /// shard N modulo their number. *Default*: 1.
    pub flush_shards: usize,
    /// Limit of the documents in memory of all vBuckets together, in bytes. What is not persisted
    /// stays beyond it. *Default*: 64 MiB.
    pub cache_bytes: usize,
    /// Limit of all checkpoint managers together. *Default*: `None`, no limit.
    pub quota: Option<QuotaConfig>,
    /// `true` if the engines of this node and of the nodes it follows keep each collection's newest
    /// tombstone ([`Capabilities::keeps_collections_highest`](lowtide_persistence::Capabilities)).
    /// *Default*: `false`.
    pub keeps_collections_highest: bool,
    /// Item limits of the engine ([`Capabilities::limits`](lowtide_persistence::Capabilities)). The
    /// vBuckets accept no larger items. *Default*: the limits that every engine supports.
    pub limits: ItemLimits,
}

impl NodeConfig {
    /// Creates the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self {
            checkpoint_bytes_max: 1 << 20,
            buffer_bytes: 10 << 20,
            send_bytes: 256 * 1024,
            producer: ProducerLimits::new(),
            flush_limit: ReadLimit::NONE.with_items(10_000).with_bytes(16 << 20),
            flush_shards: 1,
            cache_bytes: 64 << 20,
            quota: None,
            keeps_collections_highest: false,
            limits: ItemLimits::DEFAULT,
        }
    }

    /// Sets the size at which an active's checkpoint is closed.
    #[must_use]
    pub fn with_checkpoint_bytes_max(mut self, bytes: usize) -> Self {
        self.checkpoint_bytes_max = bytes;
        self
    }

    /// Sets the flow-control buffer of each incoming stream connection.
    #[must_use]
    pub fn with_buffer_bytes(mut self, bytes: u32) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Sets the bytes of stream messages that are passed to the network at once.
    #[must_use]
    pub fn with_send_bytes(mut self, bytes: usize) -> Self {
        self.send_bytes = bytes;
        self
    }

    /// Sets the limits of each outgoing stream connection.
    #[must_use]
    pub fn with_producer(mut self, limits: ProducerLimits) -> Self {
        self.producer = limits;
        self
    }

    /// Sets the limit of a flush's read from one vBucket.
    #[must_use]
    pub fn with_flush_limit(mut self, limit: ReadLimit) -> Self {
        self.flush_limit = limit;
        self
    }

    /// Sets the number of shards. 0 counts as 1.
    #[must_use]
    pub fn with_flush_shards(mut self, shards: usize) -> Self {
        self.flush_shards = shards;
        self
    }

    /// Sets the limit of the documents in memory, in bytes.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Limits all checkpoint managers together. [`Node::new`](super::Node::new) checks the quota.
    #[must_use]
    pub fn with_quota(mut self, quota: QuotaConfig) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Takes the limits of an engine, and what it keeps of each collection.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: &Capabilities) -> Self {
        self.keeps_collections_highest = capabilities.keeps_collections_highest;
        self.limits = capabilities.limits;
        self
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use lowtide_persistence::RetainedHistory;

    use super::*;

    #[test]
    fn each_setter_of_a_node_sets_its_own_field() {
        let producer = ProducerLimits::new().with_scans(1);
        let flush_limit = ReadLimit::NONE.with_items(2);
        let quota = QuotaConfig::default().with_limit_bytes(3);
        let limits = ItemLimits::DEFAULT.with_key_bytes_max(4);
        let capabilities =
            Capabilities::new(limits, RetainedHistory::Pinned).with_collections_highest(true);
        assert_eq!(
            NodeConfig::new()
                .with_checkpoint_bytes_max(5)
                .with_buffer_bytes(6)
                .with_send_bytes(7)
                .with_producer(producer)
                .with_flush_limit(flush_limit)
                .with_flush_shards(8)
                .with_cache_bytes(9)
                .with_quota(quota)
                .with_capabilities(&capabilities),
            NodeConfig {
                checkpoint_bytes_max: 5,
                buffer_bytes: 6,
                send_bytes: 7,
                producer,
                flush_limit,
                flush_shards: 8,
                cache_bytes: 9,
                quota: Some(quota),
                keeps_collections_highest: true,
                limits,
            }
        );
    }
}

//! Configuration of a node.

use lowtide_checkpoint::{ItemLimits, QuotaConfig, ReadLimit};

use crate::producer::ProducerLimits;

/// Number of a node, known to its peers.
pub type NodeId = usize;

/// Configuration of a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Size at which an active's checkpoint is closed.
    pub checkpoint_bytes_max: usize,
    /// Flow-control buffer of each incoming stream connection.
    pub buffer_bytes: u32,
    /// Bytes of stream messages passed to the network at once.
    pub send_bytes: usize,
    /// Limits of each outgoing stream connection.
    pub producer: ProducerLimits,
    /// Limit of a flush's read from one vBucket.
    pub flush_limit: ReadLimit,
    /// Limit of all checkpoint managers together; `None` for no limit.
    pub quota: Option<QuotaConfig>,
    /// `true` if the engines of this node and of the nodes it follows keep each collection's newest
    /// tombstone ([`Capabilities::keeps_collections_highest`](lowtide_persistence::Capabilities)).
    pub keeps_collections_highest: bool,
    /// Item limits of the engine ([`Capabilities::limits`](lowtide_persistence::Capabilities)). The
    /// vBuckets accept no larger items.
    pub limits: ItemLimits,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            checkpoint_bytes_max: 1 << 20,
            buffer_bytes: 10 << 20,
            send_bytes: 256 * 1024,
            producer: ProducerLimits::default(),
            flush_limit: ReadLimit::NONE.with_items(10_000).with_bytes(16 << 20),
            quota: None,
            keeps_collections_highest: false,
            limits: ItemLimits::DEFAULT,
        }
    }
}

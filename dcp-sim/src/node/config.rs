//! How a node is set up.

use lowtide_checkpoint::{ItemLimits, QuotaConfig, ReadLimit};

use crate::producer::ProducerLimits;

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

//! Quota of a node, the recovery of memory down to the quota's lower mark, and the eviction of
//! documents.

#[cfg(doc)]
use lowtide_checkpoint::Quota;
use lowtide_checkpoint::{MemoryState, QuotaConfig, QuotaStats};
use lowtide_persistence::recover_memory;

use crate::node::error::NodeError;
use crate::node::state::Node;

/// Entries of a vBucket that an eviction examines. Those of idle vBuckets are examined with each
/// tick.
const EXAMINED: usize = 256;

impl Node {
    /// Changes the quota's configuration.
    ///
    /// # Errors
    /// [`NodeError::Quota`] if it is invalid; see [`Quota::configure`]. Nothing has changed then.
    pub fn set_quota(&mut self, config: QuotaConfig) -> Result<(), NodeError> {
        self.quota.configure(config).map_err(NodeError::Quota)
    }

    /// Returns the quota's figures.
    #[must_use]
    pub fn quota_stats(&self) -> QuotaStats {
        self.quota.stats()
    }

    /// Returns `true` if memory is used up after recovery. Senders that can wait should wait.
    pub fn is_memory_full(&mut self) -> bool {
        if self.quota.state() == MemoryState::Full {
            self.recover_memory();
        }
        self.quota.state() == MemoryState::Full
    }

    /// Recovers memory down to the quota's lower mark, as far as possible, if it is above the upper
    /// one.
    pub(in crate::node) fn recover_memory(&mut self) {
        let vbuckets = self.partitions.iter().map(|partition| &partition.vbucket);
        recover_memory(&self.quota, vbuckets);
    }

    /// Evicts documents that the engine has, if the cache is nearly full.
    pub(in crate::node) fn evict_documents(&mut self) {
        if !self.cache.is_above_mark() {
            return;
        }
        for partition in self.partitions.iter_mut() {
            partition.documents.evict(EXAMINED);
        }
    }
}

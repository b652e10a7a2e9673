//! Memory recovery of a whole node, down to the quota's lower mark.
//!
//! The mildest step comes first, over all vBuckets: close and expel everywhere, then drop cursors
//! in the vBuckets that take most. Consumers with a dropped cursor read from disk.

#[cfg(doc)]
use lowtide_checkpoint::Quota;
use lowtide_checkpoint::{MemoryState, QuotaConfig, QuotaStats};

use crate::node::error::NodeError;
use crate::node::state::Node;
use crate::node::vbuckets::Partition;

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
        if self.quota.state() == MemoryState::Available {
            return;
        }
        for partition in self.partitions.iter() {
            let manager = partition.vbucket.manager();
            if manager.stats().open_items > 0 {
                manager.close();
            }
            manager.expel();
        }
        // A manager reports the size of its items. The quota counts the chunks that hold them,
        // which are freed with their last item. So a round that frees the requested bytes may not
        // be enough.
        while self.recover_from_the_fullest() {}
    }

    /// Runs one round over all vBuckets. Returns `true` if memory was freed.
    fn recover_from_the_fullest(&self) -> bool {
        let bytes = |partition: &Partition| partition.vbucket.manager().stats().memory_bytes();
        let mut fullest: Vec<_> = self
            .partitions
            .iter()
            .map(|one| (bytes(one), one))
            .collect();
        fullest.sort_by_key(|(bytes, one)| (std::cmp::Reverse(*bytes), one.vbucket.id()));
        let mut has_freed = false;
        for (_, partition) in fullest {
            let excess_bytes = self.quota.excess_bytes();
            if excess_bytes == 0 {
                return false;
            }
            has_freed |= partition
                .vbucket
                .manager()
                .recover_memory(excess_bytes)
                .freed_bytes
                > 0;
        }
        has_freed
    }
}

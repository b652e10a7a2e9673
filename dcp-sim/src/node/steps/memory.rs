//! Memory recovery of a whole node, down to the quota's lower mark.
//!
//! The mildest step comes first, over all vBuckets: close and expel everywhere, then drop cursors
//! in the vBuckets that take most. Consumers with a dropped cursor read from disk.

use lowtide_checkpoint::{MemoryState, Quota, QuotaConfig, QuotaStats};

use crate::node::state::Node;

impl Node {
    /// Changes the quota's configuration. Does nothing without a quota.
    pub fn set_quota(&mut self, config: Option<QuotaConfig>) {
        if let (Some(quota), Some(config)) = (&self.quota, config) {
            // An invalid configuration is ignored.
            let _ = quota.configure(config);
        }
    }

    /// Returns the quota's figures, if there is one.
    #[must_use]
    pub fn quota_stats(&self) -> Option<QuotaStats> {
        self.quota.as_ref().map(Quota::stats)
    }

    /// Returns `true` if memory is used up after recovery. Senders that can wait should wait.
    pub fn is_memory_full(&mut self) -> bool {
        let is_full = |node: &Self| {
            node.quota
                .as_ref()
                .is_some_and(|quota| quota.state() == MemoryState::Full)
        };
        if is_full(self) {
            self.recover_memory();
        }
        is_full(self)
    }

    /// Recovers memory down to the quota's lower mark, as far as possible, if it is above the upper
    /// one.
    pub(in crate::node) fn recover_memory(&mut self) {
        let Some(quota) = self
            .quota
            .clone()
            .filter(|quota| quota.state() > MemoryState::Available)
        else {
            return;
        };
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
        while self.recover_from_the_fullest(&quota) {}
    }

    /// Runs one round over all vBuckets. Returns `true` if memory was freed.
    fn recover_from_the_fullest(&self, quota: &Quota) -> bool {
        let bytes = |partition: &crate::node::vbuckets::Partition| {
            partition.vbucket.manager().stats().memory_bytes()
        };
        let mut fullest: Vec<_> = self
            .partitions
            .iter()
            .map(|one| (bytes(one), one))
            .collect();
        fullest.sort_by_key(|(bytes, one)| (std::cmp::Reverse(*bytes), one.vbucket.id()));
        let mut has_freed = false;
        for (_, partition) in fullest {
            let excess_bytes = quota.excess_bytes();
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

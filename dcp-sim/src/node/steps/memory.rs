//! Memory recovery of a whole node: what goes in is the quota's state, what comes out is less memory used.
//!
//! The mildest step first, over all vBuckets before the next: close and expel everywhere, then drop cursors in the
//! vBucket that takes most. Consumers whose cursor went fetch from disk.

use lowtide_checkpoint::{MemoryState, Quota, QuotaConfig, QuotaStats};

use crate::node::state::Node;

impl Node {
    /// Changes how much its checkpoint managers may take; nothing for one that has no quota.
    pub fn set_quota(&mut self, config: Option<QuotaConfig>) {
        if let (Some(quota), Some(config)) = (&self.quota, config) {
            // What makes no sense changes nothing.
            let _ = quota.configure(config);
        }
    }

    /// Its quota's figures, if it has one.
    #[must_use]
    pub fn quota_stats(&self) -> Option<QuotaStats> {
        self.quota.as_ref().map(Quota::stats)
    }

    /// Whether its memory is used up, whatever could be recovered: who can wait with what it brings, should.
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

    /// Brings the quota down to its lower mark if it is above its upper one, as far as it can.
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
        // A manager says what its items came to. The quota counts what they lay in, which goes with the last of several: a round
        // that gives up what was asked for may not be enough.
        while self.recover_from_the_fullest(&quota) {}
    }

    /// A round over all vBuckets. Returns whether one gave up anything.
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
                .recover(excess_bytes)
                .freed_bytes
                > 0;
        }
        has_freed
    }
}

//! Taking a store's figures.

use crate::runtime::report::stats::StoreStats;
use crate::runtime::store::Store;

impl Store {
    /// Returns the figures. Reads no file. O(vBuckets).
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let partitions = shared.partitions.all();
        let counts = &shared.counts;
        StoreStats {
            vbuckets: partitions.len(),
            followers: shared.followers.count(),
            memory: shared.quota.stats(),
            documents: partitions
                .iter()
                .map(|partition| partition.documents().stats())
                .sum(),
            cache_limit_bytes: shared.cache.limit_bytes(),
            flushes: counts.flushes.get(),
            flushed_items: counts.flushed_items.get(),
            commit_micros: counts.commit_micros.get(),
            failed_flushes: counts.failed_flushes.get(),
            reopenings: counts.reopenings.get(),
            memory_recoveries: counts.memory_recoveries.get(),
            cursors_dropped: counts.cursors_dropped.get(),
            upkeep_jobs: counts.upkeep_jobs.get(),
            engine: shared.slot.engine().ok().map(|(engine, _)| engine.stats()),
        }
    }
}

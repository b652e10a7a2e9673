//! The figures of a store.

use lowtide_checkpoint::QuotaStats;

use super::observer::StoreEvent;
use crate::contract::EngineStats;
use crate::hosted::DocumentsStats;
use crate::numbers::Counter;

/// The figures of a store. Those of events begin at 0 when it is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStats {
    /// The number of vBuckets.
    pub vbuckets: usize,
    /// The number of followers.
    pub followers: usize,
    /// Memory of changes: unpersisted ones, and those that followers have not read.
    pub memory: QuotaStats,
    /// Documents in memory.
    pub documents: DocumentsStats,
    /// The limit of documents in memory, in bytes.
    pub cache_limit_bytes: usize,
    /// The number of flushes.
    pub flushes: u64,
    /// The number of items flushed.
    pub flushed_items: u64,
    /// The time of commits in all flushers, in microseconds.
    pub commit_micros: u64,
    /// The number of flushes that failed, in whole or in part.
    pub failed_flushes: u64,
    /// The number of times the engine was reopened.
    pub reopenings: u64,
    /// The number of memory recoveries that freed something, or dropped cursors.
    pub memory_recoveries: u64,
    /// The number of followers' cursors that memory recovery has dropped.
    pub cursors_dropped: u64,
    /// The number of jobs of upkeep that are done.
    pub upkeep_jobs: u64,
    /// The engine's figures; `None` while it is reopened, and after the store was closed.
    pub engine: Option<EngineStats>,
}

/// Counts of a store's events.
#[derive(Debug, Default)]
pub(in crate::runtime) struct EventCounts {
    pub(in crate::runtime) flushes: Counter,
    pub(in crate::runtime) flushed_items: Counter,
    pub(in crate::runtime) commit_micros: Counter,
    pub(in crate::runtime) failed_flushes: Counter,
    pub(in crate::runtime) reopenings: Counter,
    pub(in crate::runtime) memory_recoveries: Counter,
    pub(in crate::runtime) cursors_dropped: Counter,
    pub(in crate::runtime) upkeep_jobs: Counter,
}

impl EventCounts {
    pub(in crate::runtime) fn count(&self, event: &StoreEvent<'_>) {
        match *event {
            StoreEvent::Flushed {
                items,
                commit_micros,
                ..
            } => {
                self.flushes.add(1);
                self.flushed_items.add(items as u64);
                self.commit_micros.add(commit_micros);
            }
            StoreEvent::FlushFailed { .. } => self.failed_flushes.add(1),
            StoreEvent::Reopened { .. } => self.reopenings.add(1),
            StoreEvent::MemoryRecovered { recovery, .. } => {
                self.memory_recoveries.add(1);
                self.cursors_dropped
                    .add(recovery.cursors_dropped.len() as u64);
            }
            StoreEvent::UpkeepDone { .. } => self.upkeep_jobs.add(1),
            StoreEvent::Reopening { .. }
            | StoreEvent::UpkeepFailed { .. }
            | StoreEvent::KeysFiltered { .. }
            | StoreEvent::Closed => {}
        }
    }
}

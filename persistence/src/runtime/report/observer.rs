//! Events inside a store, for metrics, logs and spans.
//!
//! The store calls one observer, from its own threads and from those that wait. With the feature `tracing` the default one
//! passes them to `tracing`.

use std::fmt;

use lowtide_checkpoint::{MemoryRecovery, QuotaStats, Vbid};

use crate::contract::{CompactionReport, EngineError};

/// Something that happened inside a store.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StoreEvent<'a> {
    /// A flush is durable.
    Flushed {
        /// The number of the flusher.
        flusher: usize,
        /// The number of vBuckets in the flush.
        vbuckets: usize,
        /// The number of items written.
        items: usize,
        /// The time of the engine's commit, in microseconds.
        commit_micros: u64,
    },
    /// A flush failed, or a part of it. It is tried again.
    FlushFailed {
        /// The number of the flusher.
        flusher: usize,
        /// The error.
        error: &'a EngineError,
    },
    /// The engine is being reopened.
    Reopening {
        /// The error that requires it.
        error: &'a EngineError,
    },
    /// The engine was reopened.
    Reopened {
        /// The time since it failed, in microseconds.
        micros: u64,
    },
    /// Memory was recovered: checkpoints were closed, items expelled, cursors dropped.
    MemoryRecovered {
        /// The work that was done.
        recovery: &'a MemoryRecovery,
        /// The use of memory afterwards.
        quota: QuotaStats,
    },
    /// A job of the engine's upkeep is done, a compaction for instance.
    UpkeepDone {
        /// The result of the job.
        report: &'a CompactionReport,
        /// Its time, in microseconds.
        micros: u64,
    },
    /// A job of the engine's upkeep failed. It is tried again.
    UpkeepFailed {
        /// The error.
        error: &'a EngineError,
    },
    /// The filter of a vBucket's keys is filled: from now on it spares the reads of absent keys.
    KeysFiltered {
        /// The vBucket.
        vb: Vbid,
        /// The number of keys on disk.
        keys: usize,
        /// The time of the scan, in microseconds.
        micros: u64,
    },
    /// The store was closed or dropped.
    Closed,
}

/// Watches a store. It is called on the store's threads, and on those that wait for a write or for
/// memory. It must not wait: what it does delays them.
pub trait StoreObserver: Send + Sync + fmt::Debug + 'static {
    /// Takes note of an event.
    fn observe(&self, event: &StoreEvent<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Unobserved;

impl StoreObserver for Unobserved {
    fn observe(&self, _: &StoreEvent<'_>) {}
}

/// Makes `tracing` events of a store's events, with their figures as fields: errors at level `WARN`,
/// memory recovery that drops cursors at `INFO`, the rest at `DEBUG`.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingObserver;

#[cfg(feature = "tracing")]
impl StoreObserver for TracingObserver {
    fn observe(&self, event: &StoreEvent<'_>) {
        use tracing::{debug, info, warn};
        match *event {
            StoreEvent::Flushed {
                flusher,
                vbuckets,
                items,
                commit_micros,
            } => debug!(flusher, vbuckets, items, commit_micros, "flushed"),
            StoreEvent::FlushFailed { flusher, error } => {
                warn!(flusher, %error, "flush failed");
            }
            StoreEvent::Reopening { error } => warn!(%error, "reopening the engine"),
            StoreEvent::Reopened { micros } => info!(micros, "reopened the engine"),
            StoreEvent::MemoryRecovered { recovery, quota } => {
                let freed_bytes = recovery.freed_bytes;
                let used_bytes = quota.used_bytes;
                if recovery.cursors_dropped.is_empty() {
                    debug!(freed_bytes, used_bytes, "recovered memory");
                } else {
                    let dropped = &recovery.cursors_dropped;
                    info!(
                        freed_bytes,
                        used_bytes,
                        ?dropped,
                        "dropped cursors to recover memory"
                    );
                }
            }
            StoreEvent::UpkeepDone { report, micros } => debug!(
                micros,
                bytes_before = report.bytes_before,
                bytes_after = report.bytes_after,
                items_copied = report.items_copied,
                "upkeep done"
            ),
            StoreEvent::UpkeepFailed { error } => warn!(%error, "upkeep failed"),
            StoreEvent::KeysFiltered { vb, keys, micros } => {
                debug!(%vb, keys, micros, "filtered the keys of a vBucket");
            }
            StoreEvent::Closed => debug!("closed"),
        }
    }
}

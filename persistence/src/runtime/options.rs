//! The options of a store.

use std::sync::Arc;

use lowtide_checkpoint::{QuotaConfig, ReadLimit};

use super::engine::open_engine::OpenEngine;
use super::host::{Host, OsHost};
use super::report::observer::StoreObserver;
use crate::contract::Budget;
use crate::couchstore::CouchstoreConfig;
use crate::disk::{Disk, OsDisk};
use crate::logstor::LogstorConfig;

/// Number of flushers of couchstore: the file system makes syncs of several files durable together.
const COUCHSTORE_FLUSHERS: usize = 8;

/// The options of a store. An engine must be chosen; everything else has a default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The engine.
    pub engine: Arc<dyn OpenEngine>,
    /// The disk. *Default*: the operating system's files.
    pub disk: Arc<dyn Disk>,
    /// Time and random names. *Default*: the operating system's.
    pub host: Arc<dyn Host>,
    /// The number of vBuckets that exist after opening, from 0 on. Missing ones are created as
    /// actives. *Default*: 1.
    pub vbuckets: u16,
    /// The number of flusher threads. A vBucket belongs to one of them. *Default*: 2, which keeps a
    /// device busy that syncs one file at a time; 8 for couchstore, which syncs a file for each
    /// vBucket.
    pub flushers: usize,
    /// The limits of changes in memory: unpersisted ones, and those that followers have not read.
    /// *Default*: 64 MiB.
    pub quota: QuotaConfig,
    /// The limit of cached documents, in bytes. Unpersisted ones count, too, but stay whatever the
    /// limit. *Default*: 64 MiB.
    pub cache_bytes: usize,
    /// The limit of one flush's read from one vBucket. *Default*: 10,000 items, 16 MiB.
    pub flush_limit: ReadLimit,
    /// The limits of one step of upkeep. *Default*: 1,000 items, 1 MiB.
    pub upkeep_budget: Budget,
    /// The observer of what happens inside. *Default*: none; with the feature `tracing`, one that
    /// makes `tracing` events.
    pub observer: Arc<dyn StoreObserver>,
}

impl StoreOptions {
    /// Returns the options of a store on an engine of the caller's.
    #[must_use]
    pub fn new(engine: impl OpenEngine) -> Self {
        Self {
            engine: Arc::new(engine),
            disk: Arc::new(OsDisk),
            host: Arc::new(OsHost::new()),
            vbuckets: 1,
            flushers: 2,
            quota: QuotaConfig::default(),
            cache_bytes: 64 << 20,
            flush_limit: ReadLimit::NONE.with_items(10_000).with_bytes(16 << 20),
            upkeep_budget: Budget::new(1_000, 1 << 20),
            #[cfg(not(feature = "tracing"))]
            observer: Arc::new(super::report::observer::Unobserved),
            #[cfg(feature = "tracing")]
            observer: Arc::new(super::report::observer::TracingObserver),
        }
    }

    /// Returns the options of a store on logstor: one log for all vBuckets, an index in memory. The
    /// key keeps those who choose document keys from making its hashes collide. It must be the same
    /// each time the store is opened.
    #[must_use]
    pub fn logstor(hash_key: [u64; 2]) -> Self {
        Self::new(LogstorConfig::new(hash_key))
    }

    /// Returns the options of a store on couchstore: a file for each vBucket, in Couchbase's format.
    #[must_use]
    pub fn couchstore() -> Self {
        Self::new(CouchstoreConfig::default()).with_flushers(COUCHSTORE_FLUSHERS)
    }

    /// Sets the disk.
    #[must_use]
    pub fn with_disk(self, disk: Arc<dyn Disk>) -> Self {
        Self { disk, ..self }
    }

    /// Sets the source of time and random names.
    #[must_use]
    pub fn with_host(self, host: Arc<dyn Host>) -> Self {
        Self { host, ..self }
    }

    /// Sets the number of vBuckets that exist after opening.
    #[must_use]
    pub fn with_vbuckets(self, vbuckets: u16) -> Self {
        Self { vbuckets, ..self }
    }

    /// Sets the number of flusher threads. It must not be 0.
    #[must_use]
    pub fn with_flushers(self, flushers: usize) -> Self {
        Self { flushers, ..self }
    }

    /// Sets the limits of changes in memory.
    #[must_use]
    pub fn with_quota(self, quota: QuotaConfig) -> Self {
        Self { quota, ..self }
    }

    /// Sets the limit of cached documents, in bytes.
    #[must_use]
    pub fn with_cache_bytes(self, cache_bytes: usize) -> Self {
        Self {
            cache_bytes,
            ..self
        }
    }

    /// Sets the limit of one flush's read from one vBucket.
    #[must_use]
    pub fn with_flush_limit(self, flush_limit: ReadLimit) -> Self {
        Self {
            flush_limit,
            ..self
        }
    }

    /// Sets the limits of one step of upkeep.
    #[must_use]
    pub fn with_upkeep_budget(self, upkeep_budget: Budget) -> Self {
        Self {
            upkeep_budget,
            ..self
        }
    }

    /// Sets the observer of what happens inside.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn StoreObserver>) -> Self {
        Self { observer, ..self }
    }
}

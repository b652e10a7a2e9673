//! What all files of a store share: its settings, its counters, and whether a sync has failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskFile};
use crate::fault::{self, Fault};

use super::CouchstoreConfig;
use super::node_cache::NodeCache;

/// One per open store.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) config: CouchstoreConfig,
    poison: OnceLock<PathBuf>,
    pub(super) nodes: Arc<NodeCache>,
    pub(super) commits: Counter,
    pub(super) syncs: Counter,
    pub(super) documents: Counter,
    pub(super) written_bytes: Counter,
    pub(super) compactions: Counter,
    pub(super) tombstones_purged: Counter,
}

impl Shared {
    pub(super) fn new(config: CouchstoreConfig) -> Self {
        let nodes = Arc::new(NodeCache::new(config.cache_bytes));
        Self {
            config,
            nodes,
            ..Self::default()
        }
    }

    /// From now on the store takes no writes. The first reason stays.
    pub(super) fn poison(&self, path: &Path) {
        // A second failure adds nothing.
        let _ = self.poison.set(path.to_path_buf());
    }

    /// Poisons the store after a failure that may have lost something. Want of file handles has not: nothing was done.
    pub(super) fn poison_after(&self, error: &DiskError, path: &Path) {
        if error.kind != DiskErrorKind::TooManyFiles {
            self.poison(path);
        }
    }

    /// # Errors
    /// [`EngineError::Poisoned`] once a sync has failed.
    pub(super) fn check_poison(&self) -> Result<(), EngineError> {
        match self.poison.get() {
            Some(path) => Err(EngineError::Poisoned { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Syncs a file; poisons the store if that fails.
    pub(super) fn sync(&self, file: &dyn DiskFile, path: &Path) -> Result<(), EngineError> {
        if fault::is(Fault::AcknowledgedBeforeItIsDurable) {
            return Ok(());
        }
        self.syncs.add(1);
        Ok(file
            .sync_data()
            .inspect_err(|error| self.poison_after(error, path))?)
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

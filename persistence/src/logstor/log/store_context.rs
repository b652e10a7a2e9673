//! The context of an open store: its disk and directory, whether it still takes writes, its
//! counters and its cache.
//!
//! Every part of the store needs it, so it knows none of them.
//!
//! # Invariants
//!
//! After a failed sync the store takes no writes until it is opened again (L4).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lowtide_checkpoint::internal::Violation;

use super::block_cache::BlockCache;
use super::counters::Counters;
use super::segment::LogFile;
use crate::contract::EngineError;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile, DiskResult};
use crate::failure::Poison;
use crate::logstor::config::LogstorConfig;
use crate::logstor::hash_key::HashKey;

/// One per open store.
#[derive(Debug)]
pub(in crate::logstor) struct StoreContext {
    pub(in crate::logstor) disk: Arc<dyn Disk>,
    pub(in crate::logstor) dir: PathBuf,
    pub(in crate::logstor) config: LogstorConfig,
    /// The store's own key, which may differ from the configured one.
    pub(in crate::logstor) hash_key: HashKey,
    poison: Poison,
    closed: Arc<AtomicBool>,
    pub(in crate::logstor) counters: Counters,
    pub(in crate::logstor) cache: BlockCache,
    /// The latest timestamp of a batch.
    pub(in crate::logstor) latest: AtomicU64,
}

impl StoreContext {
    pub(in crate::logstor) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogstorConfig,
        hash_key: HashKey,
    ) -> Self {
        Self {
            disk,
            dir: dir.to_path_buf(),
            config,
            hash_key,
            poison: Poison::default(),
            closed: Arc::default(),
            counters: Counters::default(),
            cache: BlockCache::new(config.cache_bytes),
            latest: AtomicU64::new(0),
        }
    }

    /// Ends all writing. The first reason stays.
    pub(super) fn poison(&self, path: &Path) {
        self.poison.set(path);
    }

    /// Ends all writing because an invariant does not hold. Returns the error to report.
    pub(in crate::logstor) fn internal(&self, violation: Violation) -> EngineError {
        self.poison.set_after_violation(violation, &self.dir)
    }

    /// Closes the store: from now on the directory may belong to another one.
    pub(in crate::logstor) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(in crate::logstor) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns a log file of this store.
    pub(in crate::logstor) fn log_file(&self, file: Arc<dyn DiskFile>, path: PathBuf) -> LogFile {
        LogFile {
            file,
            path,
            is_released: Arc::clone(&self.closed),
        }
    }

    /// Checks that the store takes writes.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] once a sync has failed or an invariant did not hold;
    /// [`EngineError::Closed`] once the store is closed.
    pub(in crate::logstor) fn check_writable(&self) -> Result<(), EngineError> {
        if self.is_closed() {
            return Err(store_closed(&self.dir));
        }
        self.poison.check()
    }

    /// Removes a file that may not exist.
    pub(in crate::logstor) fn remove_if_there(&self, path: &Path) -> DiskResult<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Syncs a file, and poisons the store if that fails (L4).
    pub(in crate::logstor) fn sync(
        &self,
        file: &dyn DiskFile,
        path: &Path,
    ) -> Result<(), DiskError> {
        self.counters.syncs.add(1);
        file.sync_data().inspect_err(|_| self.poison(path))
    }

    /// Same as [`StoreContext::sync`], for the names in the directory.
    pub(in crate::logstor) fn sync_dir(&self) -> Result<(), DiskError> {
        self.counters.syncs.add(1);
        self.disk
            .sync_dir(&self.dir)
            .inspect_err(|_| self.poison(&self.dir))
    }
}

/// Returns the error of every operation on a closed store.
pub(in crate::logstor) fn store_closed(dir: &Path) -> EngineError {
    EngineError::Closed {
        path: dir.to_path_buf(),
    }
}

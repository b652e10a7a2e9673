//! What all parts of a log store share: its directory, whether it still takes writes, and its counters.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::contract::EngineError;
use crate::disk::{Disk, DiskError, DiskFile};

use super::LogstorConfig;
use super::cache::Cache;
use super::segment::LogFile;

/// One per open store.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) config: LogstorConfig,
    /// The store's own, which may differ from the configured one.
    pub(super) hash_key: [u64; 2],
    poison: OnceLock<PathBuf>,
    closed: Arc<AtomicBool>,
    pub(super) counters: Counters,
    pub(super) cache: Cache,
    /// The latest time a batch was of.
    pub(super) latest: AtomicU64,
}

/// Numbers that only grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: Counter,
    pub(super) groups: Counter,
    pub(super) syncs: Counter,
    pub(super) written_bytes: Counter,
    pub(super) segments_compacted: Counter,
    pub(super) segments_adopted: Counter,
    pub(super) records_rewritten: Counter,
    pub(super) rewritten_bytes: Counter,
    /// Zeros, to make files.
    pub(super) prepared_bytes: Counter,
    pub(super) tombstones_purged: Counter,
    pub(super) images: Counter,
    pub(super) image_bytes: Counter,
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogstorConfig,
        hash_key: [u64; 2],
    ) -> Self {
        Self {
            disk,
            dir: dir.to_path_buf(),
            config,
            hash_key,
            poison: OnceLock::new(),
            closed: Arc::default(),
            counters: Counters::default(),
            cache: Cache::new(config.cache_bytes),
            latest: AtomicU64::new(0),
        }
    }

    /// From now on the store takes no writes. The first reason stays.
    pub(super) fn poison(&self, path: &Path) {
        // A second failure adds nothing.
        let _ = self.poison.set(path.to_path_buf());
    }

    /// Something that can't be was found in memory: what was to be done is not, and from now on the store takes no writes.
    pub(super) fn inconsistent(&self, what: &'static str) -> EngineError {
        self.poison(&self.dir);
        EngineError::Inconsistent {
            path: self.dir.clone(),
            what,
        }
    }

    /// From now on the directory may be another store's.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// A log file of this store.
    pub(super) fn log_file(&self, file: Arc<dyn DiskFile>, path: PathBuf) -> LogFile {
        LogFile {
            file,
            path,
            is_given_up: Arc::clone(&self.closed),
        }
    }

    /// # Errors
    /// [`EngineError::Poisoned`] once a sync has failed or something that can't be was found; [`EngineError::InvalidArgument`] once the store is closed.
    pub(super) fn check_writable(&self) -> Result<(), EngineError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        match self.poison.get() {
            Some(path) => Err(EngineError::Poisoned { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Bytes that commits have written, padding included.
    pub(super) fn committed_bytes(&self) -> u64 {
        let Counters {
            written_bytes,
            rewritten_bytes,
            ..
        } = &self.counters;
        written_bytes.get().saturating_sub(rewritten_bytes.get())
    }

    /// Syncs a file; poisons the store if that fails (L4).
    pub(super) fn sync(&self, file: &dyn DiskFile, path: &Path) -> Result<(), DiskError> {
        self.counters.syncs.add(1);
        file.sync_data().inspect_err(|_| self.poison(path))
    }

    /// As [`Shared::sync`], of names.
    pub(super) fn sync_dir(&self) -> Result<(), DiskError> {
        self.counters.syncs.add(1);
        self.disk
            .sync_dir(&self.dir)
            .inspect_err(|_| self.poison(&self.dir))
    }
}

/// What is asked of a store that was closed.
pub(super) fn closed() -> EngineError {
    EngineError::InvalidArgument("the store is closed".to_owned())
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

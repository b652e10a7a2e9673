//! The context that all files of a store share: settings, node cache, counters, and the poison
//! flag.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::internal::Violation;

use crate::contract::EngineError;
use crate::couchstore::file::NodeCache;
use crate::disk::DiskFile;
use crate::failure::Poison;
use crate::fault::{self, Fault};
use crate::numbers::Counter;

use super::config::CouchstoreConfig;

/// The context of one open store.
#[derive(Debug, Default)]
pub(crate) struct StoreContext {
    pub(crate) config: CouchstoreConfig,
    pub(crate) poison: Poison,
    pub(crate) nodes: Arc<NodeCache>,
    pub(crate) commits: Counter,
    pub(crate) syncs: Counter,
    pub(crate) documents: Counter,
    pub(crate) written_bytes: Counter,
    pub(crate) compactions: Counter,
    pub(crate) tombstones_purged: Counter,
}

impl StoreContext {
    pub(crate) fn new(config: CouchstoreConfig) -> Self {
        let nodes = Arc::new(NodeCache::new(config.cache_bytes));
        Self {
            config,
            nodes,
            ..Self::default()
        }
    }

    /// Stops writes to the store because an invariant does not hold. Returns the error to report.
    pub(crate) fn internal(&self, violation: Violation, path: &Path) -> EngineError {
        self.poison.set_after_violation(violation, path)
    }

    /// Stops writes to the store if an error names an invariant that does not hold. Parts of the
    /// engine that know only a file return it (`Source::internal`).
    pub(crate) fn poison_after(&self, error: &EngineError) {
        if let EngineError::Internal { path, .. } = error {
            self.poison.set(path);
        }
    }

    /// Syncs a file. A failure poisons the store.
    pub(crate) fn sync(&self, file: &dyn DiskFile, path: &Path) -> Result<(), EngineError> {
        if fault::is(Fault::AcknowledgedBeforeItIsDurable) {
            return Ok(());
        }
        self.syncs.add(1);
        Ok(file
            .sync_data()
            .inspect_err(|error| self.poison.set_after(error, path))?)
    }
}

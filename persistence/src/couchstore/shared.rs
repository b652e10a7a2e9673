//! What all files of a store share: its settings, its counters, and whether a sync has failed.

use std::path::Path;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::file::NodeCache;
use crate::counter::Counter;
use crate::disk::DiskFile;
use crate::fault::{self, Fault};
use crate::poison::Poison;

use super::CouchstoreConfig;

/// One per open store.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) config: CouchstoreConfig,
    pub(super) poison: Poison,
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

    /// Syncs a file; poisons the store if that fails.
    pub(super) fn sync(&self, file: &dyn DiskFile, path: &Path) -> Result<(), EngineError> {
        if fault::is(Fault::AcknowledgedBeforeItIsDurable) {
            return Ok(());
        }
        self.syncs.add(1);
        Ok(file
            .sync_data()
            .inspect_err(|error| self.poison.set_after(error, path))?)
    }
}

//! Location of the simulated nodes' stores: in memory, or in a directory of real files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, FaultyDisk, MemoryDisk, MeteredDisk, OsDisk};
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Budget, Engine, EngineError};

use crate::node::NodeId;
use crate::published_key::PUBLISHED_HASH_KEY;
use crate::sim::error::SimError;

/// Location of the stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Each node has a disk in memory.
    Memory,
    /// Real files: the store of node N is in the sub-directory `node-N`.
    Directory(PathBuf),
}

/// Storage engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// One file per vBucket.
    #[default]
    Couchstore,
    /// One log for all vBuckets.
    Logstor,
}

/// Configuration of each engine's stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Stores of [`EngineKind::Couchstore`].
    pub couchstore: CouchstoreConfig,
    /// Stores of [`EngineKind::Logstor`]. *Default*: the engine's defaults with a
    /// published hash key and log files of 8 MiB, since each of many nodes allocates one at once.
    pub logstor: LogstorConfig,
    /// Number of flushes between two requests for maintenance; at least 1. *Default*: 32.
    pub upkeep_flushes: u64,
    /// Budget of one step of maintenance or compaction. *Default*: 512 items, 1 MiB.
    pub upkeep_step: Budget,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            couchstore: CouchstoreConfig::DEFAULT,
            logstor: LogstorConfig::new(PUBLISHED_HASH_KEY).with_file_bytes(8 << 20),
            upkeep_flushes: 32,
            upkeep_step: Budget::new(512, 1 << 20),
        }
    }
}

impl StoreConfig {
    /// Sets the configuration of [`EngineKind::Couchstore`].
    #[must_use]
    pub const fn with_couchstore(mut self, config: CouchstoreConfig) -> Self {
        self.couchstore = config;
        self
    }

    /// Sets the configuration of [`EngineKind::Logstor`].
    #[must_use]
    pub const fn with_logstor(mut self, config: LogstorConfig) -> Self {
        self.logstor = config;
        self
    }

    /// Sets the number of flushes between two requests for maintenance, and the budget of a step.
    #[must_use]
    pub const fn with_upkeep(mut self, flushes: u64, step: Budget) -> Self {
        self.upkeep_flushes = flushes;
        self.upkeep_step = step;
        self
    }
}

/// One node's disk, and the directory of its store.
#[derive(Clone, Debug)]
pub(in crate::sim) struct NodeStorage {
    pub(in crate::sim) disk: MeteredDisk,
    /// Fault injection of that disk; `None` for real files.
    pub(in crate::sim) faulty: Option<FaultyDisk>,
    dir: PathBuf,
    engine: EngineKind,
    config: StoreConfig,
}

impl Storage {
    /// Creates the empty storage of every node.
    pub(in crate::sim) fn nodes(
        &self,
        nodes: usize,
        engine: EngineKind,
        config: StoreConfig,
    ) -> Result<Vec<NodeStorage>, SimError> {
        if let Self::Directory(root) = self {
            require_empty(root)?;
        }
        (0..nodes)
            .map(|node| self.node(node, engine, config))
            .collect()
    }

    fn node(
        &self,
        node: NodeId,
        engine: EngineKind,
        config: StoreConfig,
    ) -> Result<NodeStorage, SimError> {
        let name = format!("node-{node}");
        let (disk, faulty, dir): (Arc<dyn Disk>, _, _) = match self {
            Self::Memory => {
                let faulty = FaultyDisk::new(MemoryDisk::new());
                (
                    Arc::new(faulty.clone()),
                    Some(faulty),
                    PathBuf::from("/").join(name),
                )
            }
            Self::Directory(root) => (Arc::new(OsDisk::new()), None, root.join(name)),
        };
        disk.create_dir(&dir)?;
        Ok(NodeStorage {
            disk: MeteredDisk::new(disk),
            faulty,
            dir,
            engine,
            config,
        })
    }
}

impl NodeStorage {
    /// Opens the store in its current state.
    pub(in crate::sim) fn open(&self) -> Result<Box<dyn Engine>, EngineError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        Ok(match self.engine {
            EngineKind::Couchstore => {
                Box::new(Couchstore::open(disk, &self.dir, self.config.couchstore)?.0)
            }
            EngineKind::Logstor => Box::new(Logstor::open(disk, &self.dir, self.config.logstor)?.0),
        })
    }

    /// Opens the store and creates these vBuckets.
    pub(in crate::sim) fn create(&self, vbuckets: &[Vbid]) -> Result<Box<dyn Engine>, EngineError> {
        let engine = self.open()?;
        for &vb in vbuckets {
            engine.create(vb)?;
        }
        Ok(engine)
    }
}

/// Refuses a directory with files: it belongs to an earlier run or another program.
fn require_empty(root: &Path) -> Result<(), SimError> {
    match std::fs::read_dir(root).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(SimError::DataNotEmpty {
            path: root.to_owned(),
        }),
        // Other defects are reported when the nodes' directories are created.
        Ok(false) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_store_sets_its_own_field() {
        let couchstore = CouchstoreConfig::DEFAULT.with_cache_bytes(1);
        let logstor = LogstorConfig::new([2, 3]);
        let step = Budget::new(4, 5);
        assert_eq!(
            StoreConfig::default()
                .with_couchstore(couchstore)
                .with_logstor(logstor)
                .with_upkeep(6, step),
            StoreConfig {
                couchstore,
                logstor,
                upkeep_flushes: 6,
                upkeep_step: step,
            }
        );
    }
}

//! The logstor engine: one log for all vBuckets, and an index of it in memory.
//!
//! In go batches of any number of vBuckets, in one append and one sync; out come items, by key and by seqno. The log is
//! made of segments in preallocated files; what is dead in them is got rid of by rewriting the rest. What always holds is
//! said where it is kept:
//!
//! | file | keeps |
//! |---|---|
//! | `frame`, `frames`, `scan` | what a segment held before is never taken for what it holds |
//! | `entry`, `state` | items and states come back as they were |
//! | `log` | what failed to be written never comes back |
//! | `manifest` | what was dropped, purged or rolled back is hidden for good |
//! | `segments`, `segment` | a segment is freed when nobody needs it or reads it |
//! | `writer` | groups are whole, and in the index before their segments are closed |
//! | `cache` | what is kept in memory is what the disk has |
//! | `index`, `branch` | views never change; tombstones outlive what they hide |
//! | `highs`, `purged` | a purge leaves each collection's highest seqno where it was |
//! | `registry`, `maintenance` | nothing that a store holds, or lends to a job, keeps the store |
//! | `maintenance/compaction` | a record is always somewhere, and named there |
//! | `image` | opening by an index image gives what reading everything gives |
//! | `damage` | what is damaged harms whose it is |
//! | `recover` | what was acknowledged comes back, nothing else does |
//! | `export`, `import` | a vBucket moves as a whole, beside everything else, or not at all |
//! | `copy` | a store that is copied is only read |
//! | `fuzzing` | no bytes make it panic, hang or take memory without measure |
//! | `inspect`, `check` | looking changes nothing; damage anywhere is told, and the work goes on beside it |

mod branch;
mod cache;
mod check;
mod config;
mod copy;
mod damage;
mod encode;
mod entry;
mod export;
mod fingerprint;
mod found;
mod frame;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod highs;
mod image;
mod import;
mod index;
mod inspect;
mod log;
mod maintenance;
mod manifest;
mod purged;
mod read;
mod recover;
mod registry;
mod rollback;
mod scan;
mod segment;
mod segments;
mod shared;
mod snapshot;
mod state;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Item, ItemLimits, Key, Namespace, Seqno, Vbid};

use crate::contract::{
    Batch, Capabilities, Committed, CompactionRequest, Engine, EngineError, Executor, History,
    InOrder, Job, RecoveryReport, RolledBack, Snapshot, VBucketInfo,
};
use crate::disk::{Disk, KeptDirectory};
use crate::store_owner::StoreOwner;

pub use self::check::{LogCheckReport, check_store};
pub use self::config::LogstorConfig;
pub use self::copy::compact_store;
pub use self::export::Export;
pub use self::inspect::{
    ImageLayout, LogDirectory, LogFinding, LogFindingKind, LogLayout, LogObserver, LogSeverity,
    SegmentKind, SegmentLayout, VBucketLayout, is_log_store,
};

use self::encode::Encoded;
use self::fingerprint::Fingerprint;
use self::maintenance::{Maintenance, RewriteGoal};
use self::snapshot::LogSnapshot;
use self::store::Store;
use self::writer::{Outcome, Request};

/// Is told of named points inside commits: `after-write-before-index`, when a group is durable, and
/// `after-index-before-separate`, when it can be read. Nothing waits for what it does.
pub trait CommitObserver: Send + Sync + fmt::Debug {
    /// A point has been reached.
    fn reached(&self, point: &'static str);
}

/// A store of many vBuckets in one log.
#[derive(Debug)]
pub struct Logstor {
    /// Before the store, so that what is under way ends before the directory is released.
    maintenance: Arc<Maintenance>,
    store: Arc<Store>,
}

impl Logstor {
    /// Opens the store in `dir`, which is made if need be, and finds again what is in it: reads the newest index image and
    /// what was appended since, or, without one, all segments in use. What the image knows comes into memory by upkeep, or
    /// when a vBucket is first used for more than gets and commits: these don't wait for it.
    ///
    /// # Errors
    /// [`EngineError::Disk`], of kind `Locked` if the store is open elsewhere; [`EngineError::ForeignStore`] if another
    /// engine's store is there, which is left as it is; [`EngineError::Corrupt`] if something that was acknowledged is damaged.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogstorConfig,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        Self::open_with(disk, dir, config, &InOrder)
    }

    /// As [`Logstor::open`]; segments are read on the host's executor.
    ///
    /// # Errors
    /// As [`Logstor::open`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogstorConfig,
        executor: &dyn Executor,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        disk.create_dir(dir)?;
        // Before the lock, which makes a file.
        StoreOwner::Logstor.require(&*disk, dir)?;
        let lock = disk.lock(dir)?;
        let disk = Arc::new(KeptDirectory::open(disk, dir)?);
        let recovered = recover::open(disk, dir, config, lock, executor)?;
        let store = Arc::new(recovered.store);
        let maintenance = Arc::new(Maintenance::new(
            Arc::clone(&store),
            recovered.newest_image,
            recovered.carried_bytes,
        ));
        Ok((Self { maintenance, store }, recovered.report))
    }

    /// Has an observer told of the points inside commits.
    pub fn observe(&self, observer: Arc<dyn CommitObserver>) {
        *self.store.observer.write() = Some(observer);
    }

    /// Takes apart every segment in which several vBuckets have records, the one being written included.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`] while other upkeep of the whole store runs; [`EngineError::Poisoned`].
    pub fn separate(&self) -> Result<Box<dyn Job>, EngineError> {
        self.maintenance
            .begin(RewriteGoal::Separate)
            .ok_or(EngineError::CompactionInProgress { vb: Vbid(0) })
    }

    /// As a commit that is short of room does: loads what is not loaded, unless another thread is loading it. For models.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    #[cfg(checkpoint_loom)]
    #[doc(hidden)]
    pub fn load_one_beside(&self) -> Result<bool, EngineError> {
        self.store.load_one_beside()
    }

    /// Whether upkeep is due, but for making room and loading. For models.
    #[cfg(checkpoint_loom)]
    #[doc(hidden)]
    pub fn is_upkeep_due(&self) -> bool {
        self.maintenance.due().is_some()
    }

    fn encode(&self, batch: &Batch<'_>) -> Result<Encoded, EngineError> {
        let branch = self.store.branch_as_it_is(batch.vb)?;
        branch
            .damage()
            .map_or(Ok(()), |damage| Err(damage.error()))?;
        Encoded::new(batch, branch, self.store.shared.hash_key)
    }
}

impl Engine for Logstor {
    fn name(&self) -> &'static str {
        "logstor"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            limits: ItemLimits {
                key_bytes_max: entry::KEY_BYTES_MAX,
                value_bytes_max: entry::VALUE_BYTES_MAX,
                seqno_max: Seqno(entry::SEQNO_MAX),
                rev_seqno_max: u64::MAX,
                reserved_collection_max: 0,
            },
            history: History::Pinned,
            keeps_collections_highest: true,
        }
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.store.create(vb)
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        self.store.drop_vbucket(vb)
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        self.store
            .registry
            .branches
            .read()
            .keys()
            .copied()
            .collect()
    }

    fn commit(&self, batches: &[Batch<'_>]) -> Vec<Result<Committed, EngineError>> {
        loop {
            let encoded = batches.iter().map(|batch| {
                self.store.shared.check_writable()?;
                self.encode(batch)
            });
            let request = Arc::new(Request::new(encoded.collect()));
            match self
                .store
                .writer
                .commit(&self.store.log, &*self.maintenance, request)
            {
                Outcome::Done(results) => return results,
                // Somebody rolled back or dropped a vBucket meanwhile: its records belong elsewhere now.
                Outcome::Stale => {}
            }
        }
    }

    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError> {
        self.store.rollback(vb, to.0)
    }

    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError> {
        self.store
            .purge(vb, upto.0)
            .map(|(purged, _)| Seqno(purged))
    }

    fn get(&self, vb: Vbid, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let fingerprint = Fingerprint::of(self.store.shared.hash_key, namespace, key.encoded());
        match self.store.newest(vb, fingerprint)? {
            Some((slot, segment)) => {
                read::by_key(&self.store.shared.cache, &slot, &segment, namespace, key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        Ok(Box::new(LogSnapshot::new(
            self.store.branch(vb)?,
            Arc::clone(&self.store.shared),
        )))
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        Ok(self.store.branch(vb)?.view().info)
    }

    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError> {
        self.maintenance.compact(vb, &request)
    }

    fn maintenance(&self) -> Option<Box<dyn Job>> {
        self.maintenance.next_job()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        self.store.check(vb)
    }

    fn stats(&self) -> BTreeMap<&'static str, u64> {
        self.maintenance.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.maintenance.close()
    }
}

//! The couchstore engine: one append-only file per vBucket, in the format of Couchbase's own library.
//!
//! In go batches, out come files that the vendor's tools read, and the other way round (format versions 11 to 14;
//! encrypted files are read, not written). Two copy-on-write b-trees index documents by key and by seqno, a third
//! holds local documents; a commit appends bodies, changed nodes and a header, and is durable after one sync. What
//! always holds is said where it is kept:
//!
//! | file | keeps |
//! |---|---|
//! | `writer` | nothing acknowledged is overwritten; failed commits are cut off |
//! | `recover` | what was acknowledged comes back, nothing else does |
//! | `find` | damage under an activated header is an error |
//! | `btree_modify` | trees have the vendor's shape |
//! | `btree_read` | damaged trees end in errors |
//! | `node_cache` | what is in memory is what the file holds, within a budget |
//! | `window` | what is read ahead is checked like anything else |
//! | `writer/room` | behind a commit lie zeros, few, and no commit fails for them |
//! | `version` | a file keeps its version, and each is as durable |
//! | `vbucket` | readers see whole, durable commits and never wait |
//! | `directory` | a vBucket is there as a whole or not at all |
//! | `history` | what a rollback finds is a commit, and not one that was given up |
//! | `vbucket/rollback`, `vbucket/purge` | what was rolled back or purged stays away |
//! | `group` | batches of different vBuckets share nothing |
//! | `compact` | a file is replaced by a smaller one with the same content, beside commits |
//! | `compact/audit` | what is compacted is verified, so that no damage is hidden and no sound copy removed |
//! | `compact/single` | the same to another file, without a store; the old one is only read |
//! | `fuzzing` | no bytes make it panic, hang or take memory without measure |
//! | `encryption` | encrypted files open with their key only |
//! | `check`, `survey` | damage anywhere is told, and the work goes on beside it |
//! | `document`, `rev_meta`, `vbstate` | items and states as the vendor stores them |

mod btree;
mod check;
mod compact;
mod couch_file;
mod directory;
mod file;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod index;
mod layout;
mod listing;
mod names;
mod read;
mod recover;
mod salvage;
mod shared;
mod snapshot;
mod survey;
mod vbucket;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};
use parking_lot::{Mutex, RwLock};

use crate::contract::{
    Batch, Capabilities, Committed, CompactionRequest, Engine, EngineError, Executor, History,
    InOrder, Job, RecoveryReport, RolledBack, Snapshot, VBucketInfo,
};
use crate::disk::{Disk, DiskLock, KeptDirectory, PooledDisk};
use crate::store_owner::StoreOwner;

pub use self::btree::NodeShape;
pub use self::check::{CheckObserver, CheckReport, Finding, FindingKind, Severity, check_file};
pub use self::compact::{CompactionConfig, compact_file};
pub use self::couch_file::{CouchFile, HeaderInfo};
pub use self::file::Keyring;
pub use self::format::DocInfo;
pub use self::format::FormatVersion;
pub use self::format::Tree;
pub use self::layout::{Cell, Layout, TreeLayout, Use};
pub use self::listing::{StoreFile, StoreListing, list_store, name_of_store_file};
pub use self::salvage::{Loss, SalvageObserver, Salvaged, salvage};

use self::compact::Compaction;
use self::directory::{Directory, Slot};
use self::file::CommitView;
use self::shared::Shared;
use self::snapshot::CouchSnapshot;
use self::vbucket::VBucket;

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// One sync; the header is activated after it, and that becomes durable with the next. Should the power fail
    /// before, the vendor's tools may miss the last commit until this engine has opened the file again. Commits over
    /// 4 MiB, and files older than version 14, take two syncs all the same.
    #[default]
    OneSync,
    /// Two syncs, as the vendor does: each acknowledged commit is there for the vendor's tools, too.
    TwoPhase,
}

/// How a store is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CouchstoreConfig {
    /// How a commit becomes durable. *Default*: [`CommitMode::OneSync`].
    pub commit: CommitMode,
    /// When files are compacted, and how.
    pub compaction: CompactionConfig,
    /// The format's version of files that are made; those that are there keep theirs until a compaction makes them anew. *Default*: [`FormatVersion::V14`].
    pub version: FormatVersion,
    /// How many bytes of decoded tree nodes all files of the store may keep in memory together; 0 keeps none. Enough
    /// for the interior nodes, some 6 bytes a document, spares most reads; leaves take what is left, up to some 150
    /// bytes a document. *Default*: 16 MiB.
    pub cache_bytes: usize,
    /// How many of the store's files may be open at once; at least one is. Further ones are opened when they are used, and
    /// the one that was not used for longest is closed for each, synced first if need be. Snapshots of files that a
    /// compaction or a drop has removed come on top, and the directory, its lock and a file each for compactions that
    /// sort. Fewer than there are vBuckets in use cost an opening, and often a sync, for many operations. *Default*: 512.
    pub open_files_max: usize,
}

impl CouchstoreConfig {
    /// What [`Default`] gives, for constants.
    pub const DEFAULT: Self = Self {
        commit: CommitMode::OneSync,
        compaction: CompactionConfig::DEFAULT,
        version: FormatVersion::V14,
        cache_bytes: 16 << 20,
        open_files_max: 512,
    };
}

impl Default for CouchstoreConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A store of many vBuckets, each in a file of its own.
#[derive(Debug)]
pub struct Couchstore {
    shared: Arc<Shared>,
    vbuckets: RwLock<BTreeMap<Vbid, Slot>>,
    executor: Arc<dyn Executor>,
    /// `None` once the store is closed. Taken before `vbuckets`.
    open: Arc<Mutex<Option<Open>>>,
    files: PooledDisk,
}

#[derive(Debug)]
struct Open {
    directory: Directory,
    /// Held, not used.
    _lock: Box<dyn DiskLock>,
}

impl Couchstore {
    /// Opens the store in `dir`, which is made if need be, and repairs what a crash left behind.
    ///
    /// # Errors
    /// [`EngineError::Disk`], of kind `Locked` if the store is open elsewhere; [`EngineError::ForeignStore`] if another
    /// engine's store is there, which is left as it is. A vBucket whose file can't be opened or read is in the report, and no
    /// error.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: CouchstoreConfig,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        disk.create_dir(dir)?;
        // Before the lock, which makes a file.
        StoreOwner::Couchstore.require(&*disk, dir)?;
        let lock = disk.lock(dir)?;
        let shared = Arc::new(Shared::new(config));
        let kept = KeptDirectory::open(disk, dir)?;
        let files = PooledDisk::new(Arc::new(kept), config.open_files_max);
        let mut directory = Directory::new(Arc::new(files.clone()), dir, Arc::clone(&shared));
        let (vbuckets, report) = directory.open()?;
        let open = Arc::new(Mutex::new(Some(Open {
            directory,
            _lock: lock,
        })));
        Ok((
            Self {
                shared,
                vbuckets: RwLock::new(vbuckets),
                executor: Arc::new(InOrder),
                open,
                files,
            },
            report,
        ))
    }

    /// Lets the host's executor run commits of several vBuckets, so that their writes and syncs overlap. *Default*:
    /// [`InOrder`].
    #[must_use]
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    fn slot(&self, vb: Vbid) -> Result<Slot, EngineError> {
        self.vbuckets
            .read()
            .get(&vb)
            .cloned()
            .ok_or(EngineError::UnknownVBucket { vb })
    }

    fn vbucket(&self, vb: Vbid) -> Result<Arc<VBucket>, EngineError> {
        match self.slot(vb)? {
            Slot::Open(vbucket) => Ok(vbucket),
            Slot::Unreadable(damage) => Err(damage.error()),
        }
    }
}

fn open_ones(vbuckets: &BTreeMap<Vbid, Slot>) -> impl Iterator<Item = &Arc<VBucket>> {
    vbuckets.values().filter_map(|slot| match slot {
        Slot::Open(vbucket) => Some(vbucket),
        Slot::Unreadable(_) => None,
    })
}

fn closed() -> EngineError {
    EngineError::InvalidArgument("the store is closed".to_owned())
}

impl Engine for Couchstore {
    fn name(&self) -> &'static str {
        "couchstore"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            limits: self::format::document::LIMITS,
            history: History::SinceCompaction,
            keeps_collections_highest: true,
        }
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(closed)?;
        self.shared.poison.check()?;
        if self.vbuckets.read().contains_key(&vb) {
            return Err(EngineError::VBucketExists { vb });
        }
        let vbucket = open.directory.create(vb)?;
        self.vbuckets.write().insert(vb, Slot::Open(vbucket));
        Ok(())
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(closed)?;
        self.shared.poison.check()?;
        let (removed, is_gone) = match self.slot(vb)? {
            Slot::Open(vbucket) => {
                let removed = open.directory.remove(vb, &vbucket);
                (removed, vbucket.is_dropped())
            }
            Slot::Unreadable(_) => {
                let removed = open.directory.remove_unreadable(vb);
                let is_gone = removed.is_ok();
                (removed, is_gone)
            }
        };
        if is_gone {
            self.vbuckets.write().remove(&vb);
        }
        removed
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        self.vbuckets.read().keys().copied().collect()
    }

    fn commit(&self, batches: &[Batch<'_>]) -> Vec<Result<Committed, EngineError>> {
        group::commit(&*self.executor, batches, &|batch| {
            self.vbucket(batch.vb)?.commit(batch)
        })
    }

    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError> {
        self.vbucket(vb)?.rollback(to)
    }

    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError> {
        self.vbucket(vb)?.purge(upto)
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        Ok(Box::new(CouchSnapshot(self.vbucket(vb)?.published())))
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        Ok(self.vbucket(vb)?.published().view.info())
    }

    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError> {
        let store = Arc::downgrade(&self.open);
        Ok(Box::new(Compaction::begin(
            store,
            self.vbucket(vb)?,
            Arc::clone(&self.shared),
            request,
        )?))
    }

    fn maintenance(&self) -> Option<Box<dyn Job>> {
        // Nobody is to wait for those who wait for a commit.
        let vbuckets: Vec<_> = open_ones(&self.vbuckets.read()).cloned().collect();
        let (vb, request) = self.shared.config.compaction.choose(&vbuckets)?;
        // Whoever was faster has begun it.
        self.compact(vb, request).ok()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let mut found: Vec<Finding> = Vec::new();
        check::check_tip(&self.vbucket(vb)?.published().view, &mut found)?;
        Ok(found.iter().map(Finding::to_string).collect())
    }

    fn stats(&self) -> BTreeMap<&'static str, u64> {
        let vbuckets = self.vbuckets.read();
        let sum = |bytes: fn(&CommitView) -> u64| {
            open_ones(&vbuckets).fold(0_u64, |sum, vbucket| {
                sum.saturating_add(bytes(&vbucket.published().view))
            })
        };
        BTreeMap::from([
            ("bytes-written", self.shared.written_bytes.get()),
            ("cache-bytes", self.shared.nodes.memory_bytes() as u64),
            ("cache-hits", self.shared.nodes.hits.get()),
            ("cache-misses", self.shared.nodes.misses.get()),
            ("commits", self.shared.commits.get()),
            ("compactions", self.shared.compactions.get()),
            ("documents-written", self.shared.documents.get()),
            ("file-bytes", sum(CommitView::file_bytes)),
            ("live-bytes", sum(CommitView::live_bytes)),
            ("open-files", self.files.open_files() as u64),
            ("syncs", self.shared.syncs.get()),
            ("tombstones-purged", self.shared.tombstones_purged.get()),
            ("vbuckets", vbuckets.len() as u64),
        ])
    }

    fn close(&self) -> Result<(), EngineError> {
        let Some(_open) = self.open.lock().take() else {
            return Ok(());
        };
        let vbuckets = std::mem::take(&mut *self.vbuckets.write());
        // Every file gets its chance; the first failure is told.
        open_ones(&vbuckets)
            .map(|vbucket| vbucket.close())
            .fold(Ok(()), Result::and)
    }
}

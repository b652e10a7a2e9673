//! The engine: the vBuckets of a store, and each operation of the [`Engine`] contract on them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{
    Capabilities, CommitBatch, Committed, CompactionRequest, Engine, EngineError, Executor,
    InOrder, Job, RecoveryReport, RetainedHistory, RolledBack, Snapshot, VBucketInfo,
};
use crate::couchstore::compact::Compaction;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::document;
use crate::couchstore::store::{
    CouchSnapshot, Directory, OpenStore, VBucket, VBucketSlot, group_commit,
};
use crate::couchstore::tools::{Finding, check_commit};
use crate::disk::{Disk, KeptDirectory, PooledDisk};
use crate::store_owner::StoreOwner;
use crate::sync::{Mutex, RwLock, ranks};

use super::config::CouchstoreConfig;
use super::store_context::StoreContext;

/// A store of many vBuckets, each in a file of its own.
#[derive(Debug)]
pub struct Couchstore {
    shared: Arc<StoreContext>,
    vbuckets: RwLock<BTreeMap<Vbid, VBucketSlot>>,
    executor: Arc<dyn Executor>,
    /// `None` once the store is closed. Locked before `vbuckets`.
    open: Arc<Mutex<Option<OpenStore>>>,
    files: PooledDisk,
}

impl Couchstore {
    /// Opens the store in `dir` and repairs what a crash left behind. Creates the directory if it
    /// is missing.
    ///
    /// # Errors
    /// [`EngineError::Disk`], of kind `Locked` if the store is open elsewhere;
    /// [`EngineError::ForeignStore`] if another engine's store is in the directory, which is left
    /// as it is. A vBucket whose file cannot be opened or read is in the report and causes no
    /// error.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: CouchstoreConfig,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        disk.create_dir(dir)?;
        // Locking creates a file, and a foreign directory must stay untouched.
        StoreOwner::Couchstore.require(&*disk, dir)?;
        let lock = disk.lock(dir)?;
        let shared = Arc::new(StoreContext::new(config));
        let kept = KeptDirectory::open(disk, dir)?;
        let files = PooledDisk::new(Arc::new(kept), config.open_files_max);
        let mut directory = Directory::new(Arc::new(files.clone()), dir, Arc::clone(&shared));
        let (vbuckets, report) = directory.open()?;
        let open = OpenStore {
            directory,
            _lock: lock,
        };
        Ok((
            Self {
                shared,
                vbuckets: RwLock::new(ranks::COUCH_VBUCKETS, vbuckets),
                executor: Arc::new(InOrder),
                open: Arc::new(Mutex::new(ranks::COUCH_OPEN, Some(open))),
                files,
            },
            report,
        ))
    }

    /// Sets the executor that runs commits of several vBuckets, so that their writes and syncs
    /// overlap. *Default*: [`InOrder`].
    #[must_use]
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    fn slot(&self, vb: Vbid) -> Result<VBucketSlot, EngineError> {
        self.vbuckets
            .read()
            .get(&vb)
            .cloned()
            .ok_or(EngineError::UnknownVBucket { vb })
    }

    pub(super) fn vbucket(&self, vb: Vbid) -> Result<Arc<VBucket>, EngineError> {
        match self.slot(vb)? {
            VBucketSlot::Open(vbucket) => Ok(vbucket),
            VBucketSlot::Unreadable(damage) => Err(damage.error()),
        }
    }
}

fn open_ones(vbuckets: &BTreeMap<Vbid, VBucketSlot>) -> impl Iterator<Item = &Arc<VBucket>> {
    vbuckets.values().filter_map(|slot| match slot {
        VBucketSlot::Open(vbucket) => Some(vbucket),
        VBucketSlot::Unreadable(_) => None,
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
            limits: document::LIMITS,
            history: RetainedHistory::SinceCompaction,
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
        self.vbuckets.write().insert(vb, VBucketSlot::Open(vbucket));
        Ok(())
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(closed)?;
        self.shared.poison.check()?;
        let (removed, is_gone) = match self.slot(vb)? {
            VBucketSlot::Open(vbucket) => {
                let removed = open.directory.remove(vb, &vbucket);
                (removed, vbucket.is_dropped())
            }
            VBucketSlot::Unreadable(_) => {
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

    fn commit(&self, batches: &[CommitBatch<'_>]) -> Vec<Result<Committed, EngineError>> {
        group_commit::commit(&*self.executor, batches, &|batch| {
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
        // The list is cloned so that the lock of the map is not held while waiting for a vBucket's
        // writer lock.
        let vbuckets: Vec<_> = open_ones(&self.vbuckets.read()).cloned().collect();
        let (vb, request) = self.shared.config.compaction.choose(&vbuckets)?;
        // This fails only if another thread won the race and already started the compaction.
        self.compact(vb, request).ok()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let mut found: Vec<Finding> = Vec::new();
        check_commit(&self.vbucket(vb)?.published().view, &mut found)?;
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
        // Every file is closed; the first failure is returned.
        open_ones(&vbuckets)
            .map(|vbucket| vbucket.close())
            .fold(Ok(()), Result::and)
    }
}

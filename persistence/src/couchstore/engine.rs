//! The engine: the vBuckets of a store, and each operation of the [`Engine`] contract on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{
    Capabilities, CommitBatch, Committed, CommonStats, CompactionRequest, Engine, EngineError,
    EngineStats, Executor, InOrder, Job, RecoveryReport, RetainedHistory, RolledBack, Snapshot,
    VBucketInfo,
};
use crate::couchstore::compact::Compaction;
use crate::couchstore::format::document;
use crate::couchstore::store::{
    CouchSnapshot, Directory, OpenStore, VBucket, VBucketSlot, group_commit,
};
use crate::couchstore::tools::{Finding, check_commit};
use crate::disk::{Disk, KeptDirectory, PooledDisk};
use crate::numbers::to_u64;
use crate::shared::StoreOwner;
use crate::sync::{Mutex, RwLock, ranks};

use super::config::CouchstoreConfig;
use super::stats::CouchstoreStats;
use super::store_context::StoreContext;

/// A store of many vBuckets, each in a file of its own.
#[derive(Debug)]
pub struct Couchstore {
    dir: PathBuf,
    shared: Arc<StoreContext>,
    /// `None` once the store is closed.
    vbuckets: RwLock<Option<BTreeMap<Vbid, VBucketSlot>>>,
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
        let vbuckets = Some(vbuckets);
        let open = OpenStore {
            directory,
            _lock: lock,
        };
        Ok((
            Self {
                dir: dir.to_path_buf(),
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
        let vbuckets = self.vbuckets.read();
        let vbuckets = vbuckets.as_ref().ok_or_else(|| self.closed())?;
        let slot = vbuckets.get(&vb).cloned();
        slot.ok_or(EngineError::UnknownVBucket { vb })
    }

    /// Returns the store's figures by field. [`Engine::stats`] has them as every engine has.
    #[must_use]
    pub fn figures(&self) -> CouchstoreStats {
        let shared = &self.shared;
        let vbuckets = self.vbuckets.read();
        let mut common = CommonStats {
            vbuckets: to_u64(vbuckets.as_ref().map_or(0, BTreeMap::len)),
            commits: shared.commits.get(),
            syncs: shared.syncs.get(),
            written_bytes: shared.written_bytes.get(),
            cache_bytes: to_u64(shared.nodes.memory_bytes()),
            tombstones_purged: shared.tombstones_purged.get(),
            ..CommonStats::default()
        };
        for vbucket in open_ones(vbuckets.as_ref()) {
            let view = &vbucket.published().view;
            common.file_bytes += view.file_bytes();
            common.live_bytes += view.live_bytes();
        }
        CouchstoreStats {
            common,
            documents_written: shared.documents.get(),
            compactions: shared.compactions.get(),
            cache_hits: shared.nodes.hits.get(),
            cache_misses: shared.nodes.misses.get(),
            open_files: to_u64(self.files.open_files()),
        }
    }

    fn closed(&self) -> EngineError {
        EngineError::Closed {
            path: self.dir.clone(),
        }
    }

    pub(super) fn vbucket(&self, vb: Vbid) -> Result<Arc<VBucket>, EngineError> {
        match self.slot(vb)? {
            VBucketSlot::Open(vbucket) => Ok(vbucket),
            VBucketSlot::Unreadable(damage) => Err(damage.error()),
        }
    }
}

#[cfg(test)]
impl Couchstore {
    /// Shows the open store's directory.
    pub(super) fn with_directory(&self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.open.lock().as_mut().expect("open").directory);
    }
}

fn open_ones(
    vbuckets: Option<&BTreeMap<Vbid, VBucketSlot>>,
) -> impl Iterator<Item = &Arc<VBucket>> {
    let slots = vbuckets.into_iter().flat_map(BTreeMap::values);
    slots.filter_map(|slot| match slot {
        VBucketSlot::Open(vbucket) => Some(vbucket),
        VBucketSlot::Unreadable(_) => None,
    })
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
            reads_for_absent_keys: true,
        }
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(|| self.closed())?;
        self.shared.poison.check()?;
        match self.slot(vb) {
            Ok(_) => return Err(EngineError::VBucketExists { vb }),
            Err(EngineError::UnknownVBucket { .. }) => {}
            Err(error) => return Err(error),
        }
        let vbucket = open.directory.create(vb)?;
        if let Some(vbuckets) = &mut *self.vbuckets.write() {
            vbuckets.insert(vb, VBucketSlot::Open(vbucket));
        }
        Ok(())
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(|| self.closed())?;
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
        if is_gone && let Some(vbuckets) = &mut *self.vbuckets.write() {
            vbuckets.remove(&vb);
        }
        removed
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        let vbuckets = self.vbuckets.read();
        let all = vbuckets.iter().flat_map(BTreeMap::keys);
        all.copied().collect()
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
        let vbuckets: Vec<_> = open_ones(self.vbuckets.read().as_ref()).cloned().collect();
        let (vb, request) = self.shared.config.compaction.choose(&vbuckets)?;
        // This fails only if another thread won the race and already started the compaction.
        self.compact(vb, request).ok()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let mut found: Vec<Finding> = Vec::new();
        check_commit(&self.vbucket(vb)?.published().view, &mut found)?;
        Ok(found.iter().map(Finding::to_string).collect())
    }

    fn stats(&self) -> EngineStats {
        self.figures().into()
    }

    fn close(&self) -> Result<(), EngineError> {
        let Some(_open) = self.open.lock().take() else {
            return Ok(());
        };
        let vbuckets = self.vbuckets.write().take();
        // Every file is closed; the first failure is returned.
        open_ones(vbuckets.as_ref())
            .map(|vbucket| vbucket.close(&self.dir))
            .fold(Ok(()), Result::and)
    }
}

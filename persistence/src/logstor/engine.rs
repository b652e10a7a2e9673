//! The engine: an open log store, as the [`Engine`] contract has it.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::internal::checked_invariant;
use lowtide_checkpoint::{Item, ItemLimits, Key, Namespace, Seqno, Vbid};

use super::commit::{CommitObserver, CommitOutcome, CommitRequest, EncodedBatch, repeat};
use super::config::LogstorConfig;
use super::format::{Fingerprint, KEY_BYTES_MAX, SEQNO_MAX, VALUE_BYTES_MAX};
use super::log::store_closed;
use super::maintenance::{LogstorStats, Maintenance, RewriteGoal};
use super::recovery;
use super::store::Store;
use super::vbucket::{LogSnapshot, read_by_key};
use crate::contract::{
    Capabilities, CommitBatch, Committed, CompactionRequest, Engine, EngineError, EngineStats,
    Executor, InOrder, Job, RecoveryReport, RetainedHistory, RolledBack, Snapshot, VBucketInfo,
};
use crate::disk::{Disk, KeptDirectory};
use crate::shared::StoreOwner;

/// A store of many vBuckets in one log.
#[derive(Debug)]
pub struct Logstor {
    /// Before the store, so that what is under way ends before the directory is released.
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) store: Arc<Store>,
}

impl Logstor {
    /// Opens the store in `dir`, or creates one. Reads the newest index image and what was appended
    /// since, or, without an image, all segments in use. The rest of the image is loaded by upkeep,
    /// or when a vBucket is first used for more than gets and commits, which don't wait for it.
    ///
    /// # Errors
    /// [`EngineError::Disk`], of kind `Locked` if the store is open elsewhere;
    /// [`EngineError::ForeignStore`] if another engine's store is there, which is left as it is;
    /// [`EngineError::Corrupt`] if acknowledged data is damaged and it is unknown whose it is.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogstorConfig,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        Self::open_with(disk, dir, config, &InOrder)
    }

    /// Same as [`Logstor::open`]; segments are read on the host's executor.
    ///
    /// # Errors
    /// Same as [`Logstor::open`]; [`EngineError::InvalidArgument`] if the executor left out a task.
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
        let recovered = recovery::open_store(disk, dir, config, lock, executor)?;
        let store = Arc::new(recovered.store);
        let maintenance = Arc::new(Maintenance::new(
            Arc::clone(&store),
            recovered.newest_image,
            recovered.carried_bytes,
        ));
        Ok((Self { maintenance, store }, recovered.report))
    }

    /// Returns the figures of the store, from memory: nothing is loaded or read.
    #[must_use]
    pub fn figures(&self) -> LogstorStats {
        self.maintenance.stats()
    }

    /// Installs an observer that is called at named points inside a commit.
    pub fn observe(&self, observer: Arc<dyn CommitObserver>) {
        self.store.commits.observe(observer);
    }

    /// Starts a job that splits mixed segments, including the active one, into segments of single
    /// vBuckets.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`] while another job of the whole store runs.
    pub fn separate(&self) -> Result<Box<dyn Job>, EngineError> {
        self.maintenance
            .begin(RewriteGoal::Separate)
            .ok_or(EngineError::CompactionInProgress { vb: Vbid(0) })
    }

    /// Loads a vBucket that is not loaded, unless another thread is loading it: same as a commit
    /// that is short of space. For models.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    #[cfg(checkpoint_loom)]
    #[doc(hidden)]
    pub fn load_one_beside(&self) -> Result<bool, EngineError> {
        self.store.registry.try_load_one()
    }

    /// Returns whether rewriting is due, other than making space. For models.
    #[cfg(checkpoint_loom)]
    #[doc(hidden)]
    pub fn is_upkeep_due(&self) -> bool {
        self.maintenance.due().is_some()
    }

    /// Names the close as the reason why a vBucket is unknown: a closed store has forgotten all.
    fn unless_closed<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        match result {
            Err(EngineError::UnknownVBucket { .. }) if self.store.context.is_closed() => {
                Err(store_closed(&self.store.context.dir))
            }
            result => result,
        }
    }

    fn encode(&self, batch: &CommitBatch<'_>) -> Result<EncodedBatch, EngineError> {
        self.store.context.check_writable()?;
        let vbucket = self.store.registry.get(batch.vb)?;
        if let Some(damage) = vbucket.damage() {
            return Err(damage.error());
        }
        EncodedBatch::new(batch, vbucket, &self.store.context)
    }
}

impl Engine for Logstor {
    fn name(&self) -> &'static str {
        "logstor"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            limits: ItemLimits::DEFAULT
                .with_key_bytes_max(KEY_BYTES_MAX)
                .with_value_bytes_max(VALUE_BYTES_MAX)
                .with_seqno_max(Seqno(SEQNO_MAX))
                .with_rev_seqno_max(u64::MAX)
                .with_reserved_collection_max(0),
            history: RetainedHistory::Pinned,
            keeps_collections_highest: true,
            reads_for_absent_keys: false,
        }
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.store.create(vb)
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        self.store.drop_vbucket(vb)
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        let vbuckets = self.store.registry.vbuckets.read();
        vbuckets.keys().copied().collect()
    }

    fn commit(&self, batches: &[CommitBatch<'_>]) -> Vec<Result<Committed, EngineError>> {
        loop {
            let encoded = batches.iter().map(|batch| self.encode(batch));
            let request = Arc::new(CommitRequest::new(encoded.collect()));
            match self.store.commits.commit(&*self.maintenance, request) {
                Ok(CommitOutcome::Done(results)) => {
                    checked_invariant!(
                        results.len() == batches.len(),
                        "E10",
                        "each batch has one result"
                    );
                    return results;
                }
                // A vBucket was rolled back or dropped meanwhile: its records need another epoch.
                Ok(CommitOutcome::Stale) => {}
                Err(error) => return batches.iter().map(|_| Err(repeat(&error))).collect(),
            }
        }
    }

    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError> {
        self.store.rollback(vb, to.0)
    }

    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError> {
        self.store.purge(vb, upto.0).map(|(seqno, _)| Seqno(seqno))
    }

    fn get(&self, vb: Vbid, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let context = &self.store.context;
        let fingerprint = Fingerprint::of(context.hash_key, namespace, key.encoded());
        match self.unless_closed(self.store.registry.newest(vb, fingerprint))? {
            Some((slot, segment)) => {
                read_by_key(&context.cache, &slot, &segment, namespace, key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        let vbucket = self.unless_closed(self.store.registry.loaded(vb))?;
        let context = Arc::clone(&self.store.context);
        Ok(Box::new(LogSnapshot::new(vbucket, context)))
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        let vbucket = self.unless_closed(self.store.registry.loaded(vb))?;
        Ok(vbucket.view().info)
    }

    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError> {
        self.unless_closed(self.maintenance.compact(vb, &request))
    }

    fn maintenance(&self) -> Option<Box<dyn Job>> {
        self.maintenance.next_job()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        self.unless_closed(self.store.check(vb))
    }

    fn stats(&self) -> EngineStats {
        self.figures().into()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.maintenance.close()
    }
}

//! An open store: its log, its vBuckets, its commits, and the lock of its directory.
//!
//! It creates, drops, purges and rolls back vBuckets. It knows no job: upkeep owns the store.
//!
//! # Invariants
//!
//! Nothing that the store holds leads back to it, so a store that is dropped frees its memory, its
//! files and its directory (L45).
//!
//! # Lock order
//!
//! [`crate::sync`] has the table.

mod importing;
mod rollback;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use super::commit::GroupCommit;
use super::log::{Log, ManifestEdit, StoreContext};
use super::vbucket::{InitialState, LogSnapshot, Registry, VBucketIndex};
use crate::contract::{EngineError, Snapshot};
use crate::disk::DiskLock;
use crate::sync::{Mutex, ranks};

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) context: Arc<StoreContext>,
    pub(super) log: Arc<Log>,
    pub(super) registry: Arc<Registry>,
    pub(super) commits: GroupCommit,
    /// `None` once the store is closed. Last, so that the directory is released when everything
    /// else is gone.
    directory_lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl Store {
    pub(super) fn new(
        log: Arc<Log>,
        vbuckets: BTreeMap<Vbid, Arc<VBucketIndex>>,
        directory_lock: Box<dyn DiskLock>,
    ) -> Self {
        let registry = Arc::new(Registry::new(Arc::clone(&log), vbuckets));
        Self {
            context: Arc::clone(&log.context),
            commits: GroupCommit::new(Arc::clone(&log), Arc::clone(&registry)),
            registry,
            log,
            directory_lock: Mutex::new(ranks::DIRECTORY_LOCK, Some(directory_lock)),
        }
    }

    /// Creates a vBucket, durably.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], also while it is being imported; errors of an edit of the
    /// manifest.
    pub(super) fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.commits.with_commits_paused(|_| {
            self.context.check_writable()?;
            if self.registry.contains(vb) {
                return Err(EngineError::VBucketExists { vb });
            }
            self.log.edit(&ManifestEdit::Create { vb: vb.0 })?;
            self.registry.install(vb, None, InitialState::default())
        })
    }

    /// Drops a vBucket, durably.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`]; errors of an edit of the manifest.
    pub(super) fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let dropped = self.commits.with_commits_paused(|_| {
            self.context.check_writable()?;
            let vbucket = self.registry.get(vb)?;
            self.log.edit(&ManifestEdit::Drop { vb: vb.0 })?;
            self.registry.remove(&vbucket);
            Ok::<_, EngineError>(vbucket)
        });
        // The index releases its records outside the locks.
        dropped.map(drop)
    }

    /// Hides tombstones up to a seqno, durably. Returns the purge seqno, and the number of
    /// tombstones that were hidden.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`]; errors of loading and of an edit of the manifest.
    pub(super) fn purge(&self, vb: Vbid, upto: u64) -> Result<(u64, u64), EngineError> {
        self.context.check_writable()?;
        // Loaded first, so that commits proceed meanwhile.
        self.registry.loaded(vb)?;
        self.commits.with_commits_paused(|_| {
            self.context.check_writable()?;
            let vbucket = self.registry.loaded(vb)?;
            let mut count = 0;
            if let Some(plan) = vbucket.plan_purge(upto) {
                self.log.edit(&ManifestEdit::Purge {
                    vb: vb.0,
                    purged: plan.purged.clone(),
                })?;
                count = vbucket.apply_purge(plan);
                self.context.counters.tombstones_purged.add(count);
            }
            Ok((vbucket.purge_seqno(), count))
        })
    }

    /// Audits a vBucket: reads everything, and returns violations, one line each.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`] or [`EngineError::Disk`]; [`EngineError::Corrupt`] for an
    /// unreadable vBucket.
    pub(super) fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let vbucket = self.registry.loaded(vb)?;
        let mut wrong = vbucket.check();
        let uses = self.log.segments.uses();
        let unqueued = self.context.cache.unqueued(uses.iter().flatten());
        drop(uses);
        if unqueued > 0 {
            wrong.push(format!(
                "{unqueued} blocks are kept in memory and not counted"
            ));
        }
        let snapshot = LogSnapshot::new(vbucket, Arc::clone(&self.context));
        match snapshot.visit(Seqno::ZERO, Seqno::MAX, &mut |_| ControlFlow::Continue(())) {
            Err(error @ EngineError::Disk(_)) => return Err(error),
            result => wrong.extend(result.err().map(|error| error.to_string())),
        }
        Ok(wrong)
    }

    /// Takes the directory's lock, with which the caller closes the store. `None` if it is closed
    /// already.
    pub(super) fn take_directory_lock(&self) -> Option<Box<dyn DiskLock>> {
        self.directory_lock.lock().take()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Snapshots and jobs that are still held check this.
        self.context.close();
    }
}

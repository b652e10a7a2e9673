//! An open store: its log, its vBuckets' branches, and who writes.
//!
//! Locks are taken in this order: who commits, who rewrites, no rollback, who loads a branch, the branches there are, those
//! being imported, the manifest, a branch, the table of segments.

mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{EngineError, Snapshot};
use crate::disk::DiskLock;
use crate::sync::{Mutex, RwLock};

use super::CommitObserver;
use super::branch::{Beginning, Branch};
use super::log::Log;
use super::manifest::Edit;
use super::registry::Registry;
use super::shared::Shared;
use super::snapshot::LogSnapshot;
use super::writer::Writer;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Arc<Log>,
    pub(super) writer: Writer,
    pub(super) registry: Arc<Registry>,
    /// Segments that hold records of vBuckets that can't be read.
    pub(super) aside: Mutex<BTreeMap<Vbid, BTreeSet<u32>>>,
    /// Every branch is loaded that can be.
    pub(super) is_whole: AtomicBool,
    pub(super) observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    /// `None` once the store is closed.
    pub(super) lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl Store {
    /// A vBucket's branch, loaded.
    pub(super) fn branch(&self, vb: Vbid) -> Result<Arc<Branch>, EngineError> {
        let branch = self.branch_as_it_is(vb)?;
        self.load(&branch)?;
        Ok(branch)
    }

    /// A vBucket's branch, loaded or not.
    pub(super) fn branch_as_it_is(&self, vb: Vbid) -> Result<Arc<Branch>, EngineError> {
        self.registry
            .branches
            .read()
            .get(&vb)
            .cloned()
            .ok_or(EngineError::UnknownVBucket { vb })
    }

    pub(super) fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.writer.alone(|| {
            self.shared.check_writable()?;
            if self.registry.branches.read().contains_key(&vb)
                || self.registry.importing.lock().contains_key(&vb)
            {
                return Err(EngineError::VBucketExists { vb });
            }
            self.log.edit(&Edit::Create { vb: vb.0 })?;
            self.install(vb, None, Beginning::default());
            Ok(())
        })
    }

    /// The vBucket's branch is what the manifest says now.
    pub(super) fn install(
        &self,
        vb: Vbid,
        before: Option<(&Arc<Branch>, u64)>,
        beginning: Beginning,
    ) {
        let entry = self
            .log
            .manifest
            .lock()
            .sketch()
            .vbuckets
            .get(&vb.0)
            .cloned();
        let Some(entry) = entry else { return };
        let parent = before.map(|(branch, high)| (Arc::downgrade(branch), high));
        let branch = Branch::new(vb, entry.lineage, Arc::clone(&self.log), parent, beginning);
        if let Some(old) = self.registry.branches.write().insert(vb, Arc::new(branch)) {
            self.registry.is_past(&old);
        }
    }

    pub(super) fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let dropped = self.writer.alone(|| {
            self.shared.check_writable()?;
            let branch = self.branch_as_it_is(vb)?;
            self.log.edit(&Edit::Drop { vb: vb.0 })?;
            self.registry.branches.write().remove(&vb);
            self.registry.is_past(&branch);
            self.take_back(vb);
            Ok::<_, EngineError>(branch)
        });
        // It lets go of its records outside the locks.
        dropped.map(drop)
    }

    /// The purge seqno then, and how many tombstones were hidden.
    pub(super) fn purge(&self, vb: Vbid, upto: u64) -> Result<(u64, u64), EngineError> {
        self.shared.check_writable()?;
        // So that others can commit while it is loaded.
        self.branch(vb)?;
        self.writer.alone(|| {
            self.shared.check_writable()?;
            let branch = self.branch(vb)?;
            let mut hidden = 0;
            if let Some(due) = branch.due(upto) {
                self.log.edit(&Edit::Purge {
                    vb: vb.0,
                    purged: due.purged.clone(),
                })?;
                hidden = branch.hide(due);
                self.shared.counters.tombstones_purged.add(hidden);
            }
            Ok((branch.purge_seqno(), hidden))
        })
    }

    /// Reads everything, and compares what it finds.
    pub(super) fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let branch = self.branch(vb)?;
        let mut wrong = branch.check();
        let unnoted = self
            .shared
            .cache
            .unnoted(self.log.segments.table().iter().flatten());
        if unnoted > 0 {
            wrong.push(format!(
                "{unnoted} blocks are kept in memory and not counted"
            ));
        }
        let snapshot = LogSnapshot::new(branch, Arc::clone(&self.shared));
        match snapshot.visit(Seqno::ZERO, Seqno::MAX, &mut |_| ControlFlow::Continue(())) {
            Err(error @ EngineError::Disk(_)) => return Err(error),
            result => wrong.extend(result.err().map(|error| error.to_string())),
        }
        Ok(wrong)
    }

    /// Takes the directory's lock, with which the caller closes the store. `None` if it is closed already.
    pub(super) fn take_directory_lock(&self) -> Option<Box<dyn DiskLock>> {
        self.lock.lock().take()
    }

    /// The branch that is a vBucket's now, also if it is being imported.
    pub(super) fn current(&self, vb: Vbid) -> Option<Arc<Branch>> {
        let branch = self.registry.branches.read().get(&vb).cloned();
        branch.or_else(|| self.registry.importing.lock().get(&vb).cloned().flatten())
    }

    /// Tells the observer that a point of a commit has been reached.
    pub(super) fn reached(&self, point: &'static str) {
        if let Some(observer) = &*self.observer.read() {
            observer.reached(point);
        }
    }

    /// Returns whether every branch is loaded that can be.
    pub(super) fn is_fully_loaded(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Who still holds a part of it is told so. The lock goes with the last field.
        self.shared.close();
    }
}

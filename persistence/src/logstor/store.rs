//! An open store: its log, its vBuckets' branches, who writes and who rewrites.
//!
//! Locks are taken in this order: who commits, who rewrites, no rollback, who loads a branch, the branches there are, those
//! being imported, the manifest, a branch, the table of segments.

mod borrowed;
mod load;
mod stats;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{CompactionReport, CompactionRequest, EngineError, Job, Snapshot};
use crate::disk::DiskLock;
use crate::sync::{Mutex, RwLock};

use super::CommitObserver;
use super::branch::{Beginning, Branch};
use super::image::Images;
use super::log::Log;
use super::manifest::Edit;
use super::registry::Registry;
use super::rewrite::{Current, MARK, Outputs, Relief, RewriteJob, Task, reclaim};
use super::shared::Shared;
use super::snapshot::LogSnapshot;
use super::writer::{Host, Writer};

pub(super) use self::borrowed::BorrowedStore;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Arc<Log>,
    pub(super) writer: Writer,
    pub(super) registry: Arc<Registry>,
    /// Who holds it copies.
    pub(super) outputs: Mutex<Outputs>,
    /// Jobs there are: of vBuckets, and `None` for one of the whole store. Their rounds are the store's: a job borrows its own
    /// for a step.
    pub(super) rewriting: Mutex<BTreeMap<Option<Vbid>, Current>>,
    /// What commits do themselves where room is short.
    pub(super) relief: Mutex<Relief>,
    /// From which generation on it is worth looking for garbage again.
    pub(super) looked_upto: Mutex<u64>,
    pub(super) images: Images,
    /// Segments that hold records of vBuckets that can't be read.
    pub(super) aside: Mutex<BTreeMap<Vbid, BTreeSet<u32>>>,
    /// Every branch is loaded that can be.
    pub(super) is_whole: AtomicBool,
    pub(super) observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    /// Read by a step of a job, written by who closes: a step ends before the directory is given up.
    pub(super) steps: RwLock<()>,
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

    pub(super) fn compact(
        self: &Arc<Self>,
        vb: Vbid,
        request: &CompactionRequest,
    ) -> Result<Box<dyn Job>, EngineError> {
        self.shared.check_writable()?;
        self.branch(vb)?;
        if request.filter.is_some() || request.purge_before.is_some() {
            // What is hidden is told by a seqno; nothing else can be hidden so that it stays hidden.
            return Err(EngineError::Unsupported {
                path: self.shared.dir.clone(),
                what: "a log store's compaction purges up to a seqno only".to_owned(),
            });
        }
        self.note_job(Some(vb))
            .ok_or(EngineError::CompactionInProgress { vb })?;
        let mut report = CompactionReport::default();
        if let Some(upto) = request.purge_upto {
            match self.purge(vb, upto.0) {
                Ok((_, hidden)) => report.tombstones_purged = hidden,
                Err(error) => {
                    self.rewriting.lock().remove(&Some(vb));
                    return Err(error);
                }
            }
        }
        Ok(Box::new(RewriteJob::new(
            self,
            Task::Compact(Some(vb)),
            report,
        )))
    }

    /// Begins upkeep of the whole store, unless some is under way.
    pub(super) fn begin(self: &Arc<Self>, task: Task) -> Option<Box<dyn Job>> {
        self.note_job(None)?;
        Some(Box::new(RewriteJob::new(
            self,
            task,
            CompactionReport::default(),
        )))
    }

    /// Notes a job of a vBucket, or of the whole store, unless there is one.
    fn note_job(&self, key: Option<Vbid>) -> Option<()> {
        match self.rewriting.lock().entry(key) {
            Entry::Occupied(_) => None,
            Entry::Vacant(vacant) => {
                vacant.insert(Current::default());
                Some(())
            }
        }
    }

    /// Takes away what jobs and commits have begun to rewrite; whether there was something.
    fn let_go(&self) -> bool {
        let rounds: Vec<Current> = self.rewriting.lock().values().cloned().collect();
        // What was copied is named when a round is dropped.
        let of_jobs = rounds
            .iter()
            .filter(|round| round.lock().take().is_some())
            .count();
        self.relief.lock().let_go() || of_jobs > 0
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

    pub(super) fn close(self: &Arc<Self>) -> Result<(), EngineError> {
        let _no_step = self.steps.write();
        let Some(_lock) = self.lock.lock().take() else {
            return Ok(());
        };
        let was_writable = self
            .shared
            .check_writable()
            .and_then(|()| self.make_last_image());
        self.writer.alone(|| self.shared.close());
        self.relief.lock().let_go();
        self.log.segments.give_up_growth();
        // Whoever copies has ended, and nobody begins.
        drop(self.outputs.lock());
        self.registry.branches.write().clear();
        was_writable
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Who still holds a part of it is told so. The lock goes with the last field.
        self.shared.close();
    }
}

impl Host for Store {
    fn current(&self, vb: Vbid) -> Option<Arc<Branch>> {
        let branch = self.registry.branches.read().get(&vb).cloned();
        branch.or_else(|| self.registry.importing.lock().get(&vb).cloned().flatten())
    }

    fn reclaim(&self) -> bool {
        // What went wrong will be told by whoever needs what is damaged; here there is no room, and that is told.
        let reclaim = || reclaim(self, &mut self.outputs.lock()).unwrap_or(false);
        reclaim() || (self.let_go() && reclaim())
    }

    fn relieve(&self, written: u64) {
        let census = self.log.segments.census();
        let available = census.free.saturating_add(census.possible);
        if available < MARK {
            let mut relief = self.relief.lock();
            // As above: it is for whoever needs the room to tell.
            let _ = relief.step(self, &mut self.outputs.lock(), written, available);
        }
    }

    fn reached(&self, point: &'static str) {
        if let Some(observer) = &*self.observer.read() {
            observer.reached(point);
        }
    }
}

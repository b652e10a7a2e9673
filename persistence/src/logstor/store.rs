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
//! A thread takes these locks in ascending rank. Locks of one rank are never held together.
//!
//! | rank | field | protects |
//! |---|---|---|
//! | 1 | `Maintenance::steps` | the directory: read by a step of a job, written by `close` |
//! | 2 | `GroupCommit::active` | the segment that commits write: held to lead or to pause them |
//! | 3 | `GroupCommit::queue` | calls that wait to commit |
//! | 3 | `CommitRequest::{batches, outcome}` | the batches of a call, and their results |
//! | 3 | `RunningJobs` | the rewriting jobs that there are |
//! | 4 | the round of a job | one round of rewriting, which a commit can take away |
//! | 4 | `Maintenance::backpressure` | the round of commits |
//! | 5 | `Maintenance::outputs` | the segments that copies go to: one thread copies at a time |
//! | 6 | `Registry::relocating` | locations of records: written by a rollback, read by rewriting |
//! | 7 | `VBucketIndex::loading` | the loading of a vBucket: one thread at a time |
//! | 8 | `Registry::vbuckets` | the vBuckets that serve |
//! | 9 | `Registry::importing` | vBuckets that are being imported |
//! | 10 | `Registry::retired` | indexes that are not written any more |
//! | 11 | `Log::manifest` | the catalog, and edits of it |
//! | 12 | `VBucketIndex::inner` | the index and the figures of a vBucket |
//! | 13 | `Registry::quarantined` | segments of unreadable vBuckets |
//! | 13 | `SegmentTable::growth` | the file that is being made |
//! | 13 | `Maintenance::next_gc_check_generation` | the time of the next check for garbage |
//! | 14 | `SegmentTable::inner` | free and closed segments |
//! | 15 | `SegmentTable::uses` | the use of each segment, by which references are counted |
//! | 16 | `BlockCache::queue` | the order of eviction; a block's own lock is only tried under it |
//! | 17 | `Log::sequence` | the number of the next append |
//! | 17 | `ImageSchedule::inner` | the time of the next image |
//! | 17 | `KnownFrames` | frames of a segment that scans have found |
//! | 17 | `GroupCommit::observer` | the observer of commits |

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
use crate::sync::Mutex;

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
            directory_lock: Mutex::new(Some(directory_lock)),
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

//! The swap of a vBucket's file while it is open: the claim of a compaction, and the exchange of
//! the writers.
//!
//! E14. A vBucket has one compaction at a time. The new file goes only to the vBucket that the
//! compaction began with, undisturbed by a drop, a close or a break in its history. A purge is no
//! break: the claim hands on the rows it removed (`purge_log`). Readers see the old file or the new
//! one, both whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::StoreFigures;
use crate::couchstore::store::published_commit::PublishedCommit;
use crate::couchstore::write::Writer;

use super::VBucket;
use super::purge_log::{PurgeLog, PurgedRow};

/// The right to compact a vBucket, until it is dropped.
#[derive(Debug)]
pub(crate) struct CompactionClaim {
    vbucket: Arc<VBucket>,
    epoch: u64,
}

impl CompactionClaim {
    /// Claims a vBucket.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`], [`EngineError::UnknownVBucket`],
    /// [`EngineError::Closed`] or [`EngineError::Poisoned`].
    pub(crate) fn new(vbucket: Arc<VBucket>) -> Result<Self, EngineError> {
        vbucket.shared.poison.check()?;
        let mut active = vbucket.active.lock();
        let vb = vbucket.vb;
        vbucket.check_open(&active)?;
        if active.compacting {
            return Err(EngineError::CompactionInProgress { vb });
        }
        active.compacting = true;
        let epoch = vbucket.epoch.load(Ordering::Acquire);
        drop(active);
        Ok(Self { vbucket, epoch })
    }

    pub(crate) fn vb(&self) -> lowtide_checkpoint::Vbid {
        self.vbucket.vb
    }

    /// Returns the newest acknowledged commit, if it continues the one at the time of the claim.
    ///
    /// # Errors
    /// [`EngineError::Aborted`] if it does not; [`EngineError::Poisoned`].
    pub(crate) fn published(&self) -> Result<Arc<PublishedCommit>, EngineError> {
        // The lock is not taken, because commits hold it while they wait for the disk, and every
        // step would be as slow as they are. The epoch ends before anything of the next one is
        // published.
        let published = self.vbucket.published();
        self.check()?;
        Ok(published)
    }

    /// Returns and forgets the rows that were purged with the commits up to `view`, which came from
    /// [`CompactionClaim::published`] or [`CompactionClaim::exchange`].
    pub(crate) fn take_purged(&self, view: &CommitView) -> Vec<PurgedRow> {
        self.vbucket.purges.lock().take(view.position)
    }

    /// Blocks commits while `make` makes the next writer from the last commit. Returns `false` if
    /// it made none. The next writer's file must have all of that commit, durably, under the
    /// vBucket's newest name.
    ///
    /// # Errors
    /// Same as [`CompactionClaim::published`], and any error of `make`; the old writer stays.
    pub(crate) fn exchange(
        &self,
        make: impl FnOnce(&CommitView) -> Result<Option<(Writer, StoreFigures)>, EngineError>,
    ) -> Result<bool, EngineError> {
        let mut active = self.vbucket.active.lock();
        self.check()?;
        let Some((writer, figures)) = make(active.writer.view())? else {
            return Ok(false);
        };
        active.figures = StoreFigures {
            xattrs: active.figures.xattrs,
            ..figures
        };
        active.writer = writer;
        let view = active.writer.view().clone();
        let mut published = self.vbucket.published.write();
        let state = published.state.clone();
        *published = Arc::new(PublishedCommit::new(view, state));
        Ok(true)
    }

    /// Notes that the file is damaged, if that is why the compaction ends.
    pub(crate) fn note_refusal(&self, error: &EngineError) {
        if matches!(error, EngineError::Corrupt { .. }) {
            self.vbucket.refused.store(true, Ordering::Release);
        }
    }

    fn check(&self) -> Result<(), EngineError> {
        if self.vbucket.epoch.load(Ordering::Acquire) != self.epoch {
            let why = "the vBucket was dropped, closed, rolled back, or purged too far, while it was compacted";
            return Err(EngineError::Aborted {
                vb: self.vbucket.vb,
                why,
            });
        }
        self.vbucket.shared.poison.check()
    }
}

impl Drop for CompactionClaim {
    fn drop(&mut self) {
        let mut active = self.vbucket.active.lock();
        active.compacting = false;
        *self.vbucket.purges.lock() = PurgeLog::default();
    }
}

impl VBucket {
    pub(crate) fn vb(&self) -> lowtide_checkpoint::Vbid {
        self.vb
    }

    pub(crate) fn is_compacting(&self) -> bool {
        self.active.lock().compacting
    }

    /// Returns whether a compaction found the file damaged.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }
}

#[cfg(test)]
impl VBucket {
    /// Blocks commits until dropped, like a commit that waits for the disk.
    pub(crate) fn hold_up_commits(&self) -> impl Sized + '_ {
        self.active.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lowtide_checkpoint::Vbid;

    use crate::couchstore::config::CouchstoreConfig;
    use crate::couchstore::store_context::StoreContext;
    use crate::disk::{Disk, MemoryDisk};

    use super::*;

    #[test]
    fn break_in_history_ends_a_claim_and_the_next_one_succeeds() {
        let (disk, path) = (MemoryDisk::new(), Path::new("/7.couch.1"));
        let shared = Arc::new(StoreContext::new(CouchstoreConfig::default()));
        let file = disk.create(path).expect("new");
        let writer = Writer::create(file, path, Arc::clone(&shared)).expect("created");
        let vbucket = Arc::new(VBucket::new(Vbid(7), writer, shared).expect("empty"));
        let claim = CompactionClaim::new(Arc::clone(&vbucket)).expect("free");
        assert!(
            claim
                .exchange(|_| Ok(None))
                .is_ok_and(|exchanged| !exchanged)
        );
        vbucket.end_epoch();
        assert!(matches!(
            claim.published(),
            Err(EngineError::Aborted { vb: Vbid(7), .. })
        ));
        let exchanged = claim.exchange(|_| panic!("nothing is made for what is no longer there"));
        assert!(matches!(exchanged, Err(EngineError::Aborted { .. })));
        assert!(CompactionClaim::new(Arc::clone(&vbucket)).is_err());
        drop(claim);
        assert!(
            CompactionClaim::new(vbucket)
                .expect("free")
                .published()
                .is_ok()
        );
    }
}

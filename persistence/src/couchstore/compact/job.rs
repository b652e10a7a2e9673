//! The job that drives a compaction, a step at a time.

use std::fmt;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::{Budget, CompactionReport, CompactionRequest, EngineError, Job, JobProgress};
use crate::couchstore::store::{CompactionClaim, VBucket};
use crate::couchstore::store_context::StoreContext;

use super::files::{Files, WeakStore, with_directory};
use super::stages::{Context, Stage};

/// A compaction of one vBucket.
pub(crate) struct Compaction {
    vb: Vbid,
    /// `None` once it is over.
    work: Option<Work>,
    report: CompactionReport,
}

struct Work {
    stage: Stage,
    revision: u64,
    // Dropped in this order, so that the next compaction finds the names free.
    files: Files,
    store: WeakStore,
    shared: Arc<StoreContext>,
    claim: CompactionClaim,
}

impl Compaction {
    /// Claims the vBucket and begins.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`], [`EngineError::UnknownVBucket`],
    /// [`EngineError::Poisoned`].
    pub(crate) fn begin(
        store: WeakStore,
        vbucket: Arc<VBucket>,
        shared: Arc<StoreContext>,
        request: CompactionRequest,
    ) -> Result<Self, EngineError> {
        let claim = CompactionClaim::new(vbucket)?;
        let vb = claim.vb();
        let files = Files::new(store.clone(), vb);
        let work = Work {
            stage: Stage::Begin(request),
            revision: 0,
            files,
            store,
            shared,
            claim,
        };
        Ok(Self {
            vb,
            work: Some(work),
            report: CompactionReport::default(),
        })
    }
}

impl Job for Compaction {
    fn step(&mut self, budget: Budget) -> Result<JobProgress, EngineError> {
        let over = EngineError::Aborted {
            vb: self.vb,
            why: "the compaction is over",
        };
        // An error drops all of it in reverse order: the files before the claim.
        let Work {
            claim,
            shared,
            store,
            mut files,
            mut revision,
            stage,
        } = self.work.take().ok_or(over)?;
        let mut context = Context {
            revision: &mut revision,
            files: &mut files,
            store: &store,
            shared: &shared,
            claim: &claim,
            report: &mut self.report,
        };
        let advanced = context.advance(stage, budget).map_err(|error| {
            // A break in the vBucket's history may have looked like damage.
            let aborted = claim.published().err();
            aborted
                .filter(|aborted| matches!(aborted, EngineError::Aborted { .. }))
                .unwrap_or(error)
        });
        match advanced.inspect_err(|error| {
            claim.note_refusal(error);
            shared.poison_after(error);
        })? {
            Some((stage, progress)) => {
                self.work = Some(Work {
                    stage,
                    revision,
                    files,
                    store,
                    shared,
                    claim,
                });
                Ok(progress)
            }
            None => Ok(JobProgress::Done(self.report)),
        }
    }
}

impl fmt::Debug for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The other fields would print all rows in memory.
        f.debug_struct("Compaction")
            .field("vb", &self.vb)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        let Some(Work {
            stage: Stage::Clean,
            store,
            claim,
            ..
        }) = &self.work
        else {
            return;
        };
        // The old file is not needed any more. If the removal fails it is repeated later.
        let _ = with_directory(store, claim.vb(), |directory| {
            directory.remove_superseded(claim.vb())
        });
    }
}

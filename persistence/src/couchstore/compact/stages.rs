//! The stages of a compaction: the work of each, and the stage that follows.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{
    Budget, CompactionReport, CompactionRequest, EngineError, EnginePoint, JobProgress, JobStage,
};
use crate::couchstore::file::CommitView;
use crate::couchstore::store::{CompactionClaim, PublishedCommit, file_names};
use crate::couchstore::store_context::StoreContext;

use super::catch_up::{self, LAST_ROUND_BYTES_MAX, ROUNDS_MAX, Round};
use super::copy::Copying;
use super::files::{Files, WeakStore, with_directory};
use super::filter::Rules;
use super::indexing::Indexing;
use super::install::{self, CompletedTarget};
use super::target::Target;

/// The next piece of work.
pub(super) enum Stage {
    Begin(CompactionRequest),
    Copy {
        view: CommitView,
        target: Target,
        copying: Copying,
    },
    Index {
        view: CommitView,
        target: Target,
        indexing: Indexing,
    },
    CatchUp {
        at: CommitView,
        target: Target,
        round: Option<Round>,
    },
    Commit {
        at: CommitView,
        target: Target,
    },
    Swap(CompletedTarget),
    Clean,
}

/// The stage that follows and the progress to report, or `None` at the end.
pub(super) type Next = Option<(Stage, JobProgress)>;

/// The parts of the job that the stages use.
pub(super) struct Context<'a> {
    pub(super) revision: &'a mut u64,
    pub(super) files: &'a mut Files,
    pub(super) store: &'a WeakStore,
    pub(super) shared: &'a Arc<StoreContext>,
    pub(super) claim: &'a CompactionClaim,
    pub(super) report: &'a mut CompactionReport,
}

impl Context<'_> {
    pub(super) fn advance(&mut self, stage: Stage, budget: Budget) -> Result<Next, EngineError> {
        if let Stage::Clean = stage {
            // The new file is in place, so a later break in the vBucket's history does not concern
            // this job.
            let vb = self.claim.vb();
            return match with_directory(self.store, vb, |directory| directory.remove_superseded(vb))
            {
                // A closed store removes the old file when it is opened again.
                Ok(()) | Err(EngineError::Aborted { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let published = self.claim.published()?;
        match stage {
            Stage::Begin(request) => self.start(&published, request),
            Stage::Copy {
                view,
                target,
                copying,
            } => self.copy(view, target, copying, &published.view, budget),
            Stage::Index {
                view,
                target,
                indexing,
            } => self.index(view, target, indexing, budget),
            Stage::CatchUp { at, target, round } => {
                self.catch_up(at, target, round, published.view.clone(), budget)
            }
            Stage::Commit { at, mut target } => {
                let view = target.commit(&at)?;
                Ok(Some((
                    Stage::Swap(CompletedTarget { target, at, view }),
                    JobProgress::Reached(EnginePoint::CompactBeforeRename),
                )))
            }
            Stage::Swap(ready) => self.swap(ready),
            // Done above.
            Stage::Clean => Ok(None),
        }
    }

    fn start(
        &mut self,
        published: &PublishedCommit,
        request: CompactionRequest,
    ) -> Result<Next, EngineError> {
        // Damage on the disk must not be copied, even if the cache has a sound node.
        let view = published.view.uncached();
        if view.header.encrypted {
            return Err(view
                .source
                .unsupported("compacting it would write its content unencrypted"));
        }
        let vb = self.claim.vb();
        *self.revision = with_directory(self.store, vb, |directory| {
            // An earlier compaction may have failed to remove them.
            let _ = directory.remove_superseded(vb);
            directory.next_revision(vb)
        })?;
        let source = self
            .files
            .create(&file_names::compact(vb, *self.revision))?;
        self.report.bytes_before = view.file_bytes();
        let completed = published
            .state
            .as_ref()
            .map_or(Seqno::ZERO, |state| state.high_completed_seqno);
        let rules = Rules::new(request, Seqno(view.header.update_seq), completed);
        let target = Target::new(source, Arc::clone(self.shared), &view);
        let copying = Copying::new(&view, rules, self.shared.config.compaction.sort_bytes);
        let progress = working(JobStage::Copying, 0, view.row_count());
        Ok(Some((
            Stage::Copy {
                view,
                target,
                copying,
            },
            progress,
        )))
    }

    fn copy(
        &mut self,
        view: CommitView,
        mut target: Target,
        mut copying: Copying,
        newest: &CommitView,
        budget: Budget,
    ) -> Result<Next, EngineError> {
        let mut create = |name: &str| self.files.create(name);
        let is_over = copying.step(&view, &mut target, &mut create, self.report, budget)?;
        let progress = working(
            JobStage::Copying,
            copying.done(),
            view.row_count().max(copying.done()),
        );
        if !is_over {
            return Ok(Some((
                Stage::Copy {
                    view,
                    target,
                    copying,
                },
                progress,
            )));
        }
        if copying.needs_another_pass(&view, newest) {
            return Ok(Some((
                Stage::Copy {
                    view: newest.uncached(),
                    target,
                    copying,
                },
                progress,
            )));
        }
        Ok(Some((
            Stage::Index {
                view,
                target,
                indexing: copying.finish()?,
            },
            progress,
        )))
    }

    fn index(
        &mut self,
        view: CommitView,
        mut target: Target,
        mut indexing: Indexing,
        budget: Budget,
    ) -> Result<Next, EngineError> {
        let mut create = |name: &str| self.files.create(name);
        if !indexing.step(&view, &mut target, &mut create, budget)? {
            let progress = working(JobStage::Indexing, indexing.done, indexing.of);
            return Ok(Some((
                Stage::Index {
                    view,
                    target,
                    indexing,
                },
                progress,
            )));
        }
        self.files.remove_later_ones();
        Ok(Some((
            Stage::CatchUp {
                at: view,
                target,
                round: None,
            },
            JobProgress::Reached(EnginePoint::CompactCopied),
        )))
    }

    fn catch_up(
        &mut self,
        at: CommitView,
        mut target: Target,
        round: Option<Round>,
        newest: CommitView,
        budget: Budget,
    ) -> Result<Next, EngineError> {
        let mut round = match round {
            Some(round) => round,
            None => {
                let purged = self.claim.take_purged(&newest);
                // The commit that was copied last may have been a purge.
                if newest.position == at.position && purged.is_empty() {
                    return Ok(Some((
                        Stage::Commit { at, target },
                        JobProgress::Reached(EnginePoint::CompactCaughtUp),
                    )));
                }
                Round::new(
                    &at,
                    newest,
                    purged,
                    self.shared.config.compaction.sort_bytes,
                )
            }
        };
        if !round.step(&mut target, self.report, budget)? {
            let progress = working(JobStage::CatchingUp, 0, round.left());
            return Ok(Some((
                Stage::CatchUp {
                    at,
                    target,
                    round: Some(round),
                },
                progress,
            )));
        }
        let at = round.finish(&mut target)?;
        self.report.catch_up_rounds += 1;
        let published = self.claim.published()?;
        let behind_bytes = catch_up::behind_bytes(&at, &published.view);
        if behind_bytes <= LAST_ROUND_BYTES_MAX || self.report.catch_up_rounds >= ROUNDS_MAX {
            return Ok(Some((
                Stage::Commit { at, target },
                JobProgress::Reached(EnginePoint::CompactCaughtUp),
            )));
        }
        let progress = working(
            JobStage::CatchingUp,
            0,
            catch_up::behind_seqnos(&at, &published.view),
        );
        Ok(Some((
            Stage::CatchUp {
                at,
                target,
                round: None,
            },
            progress,
        )))
    }

    fn swap(&mut self, ready: CompletedTarget) -> Result<Next, EngineError> {
        let is_last = self.report.catch_up_rounds >= ROUNDS_MAX;
        let behind_bytes_max = if is_last {
            u64::MAX
        } else {
            LAST_ROUND_BYTES_MAX
        };
        let parts = (self.claim, self.store, self.shared);
        match install::install(
            ready,
            *self.revision,
            behind_bytes_max,
            parts,
            self.files,
            self.report,
        )? {
            None => {
                self.shared.compactions.add(1);
                self.shared
                    .tombstones_purged
                    .add(self.report.tombstones_purged);
                Ok(Some((
                    Stage::Clean,
                    JobProgress::Reached(EnginePoint::CompactAfterRename),
                )))
            }
            Some(CompletedTarget { target, at, .. }) => {
                let progress = working(JobStage::CatchingUp, 0, 0);
                Ok(Some((
                    Stage::CatchUp {
                        at,
                        target,
                        round: None,
                    },
                    progress,
                )))
            }
        }
    }
}

const fn working(stage: JobStage, done: u64, of: u64) -> JobProgress {
    JobProgress::Working { stage, done, of }
}

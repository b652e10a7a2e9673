//! Compaction: a vBucket's file is written anew, without what nobody can reach, while commits and reads go on.
//!
//! ```text
//! copy by seqno, until little comes            | of one commit of the old file after the other, without any lock
//! index by id -> index by seqno -> local docs  | of the last of them
//!   compact-copied
//! catch-up rounds                              | from commit to commit, without any lock
//!   compact-caught-up
//! header, two syncs                            | the target is whole and durable
//!   compact-before-rename
//! lock: last small round, rename, sync, swap   | commits wait
//!   compact-after-rename
//! old file removed                             | snapshots keep it open
//! ```
//!
//! In goes a request, out comes a smaller file with the same content, less what `filter` says. Always:
//! - E17. What a compaction that failed, or was dropped, leaves behind is nothing: the vBucket goes on with the file it
//!   has, and only a rename that can't be made durable poisons the store.
//! - At any moment a crash leaves the old file or the new one under the vBucket's newest name, each with everything
//!   that was acknowledged: `directory::revisions`.
//! - What is in memory does not grow with the file: `build`, `sort`, `vbucket::taken_out`.
//! - Commits and purges beside it go on, and are in the new file: `catch_up`.

mod audit;
mod build;
mod catch_up;
mod copy;
mod files;
mod filter;
mod indexing;
pub(super) mod single;
mod sort;
mod swap;
mod target;
mod trigger;

use std::fmt;
use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{Budget, CompactionReport, CompactionRequest, EngineError, Job, Progress};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::Reduction;
use crate::couchstore::store::{CompactionClaim, PublishedCommit, VBucket, file_names};

use super::store_context::StoreContext;

use self::catch_up::{LAST_ROUND_BYTES_MAX, ROUNDS_MAX, Round};
use self::copy::Copying;
use self::files::{Files, Store, with_directory};
use self::filter::Rules;
use self::indexing::Indexing;
use self::swap::Ready;
use self::target::Target;

pub use self::single::compact_file;

/// Everything up to some commit is copied, and both indexes of that are built.
const COPIED: &str = "compact-copied";
/// Nothing was committed that the target has not, or too little to go round again for.
const CAUGHT_UP: &str = "compact-caught-up";
/// The target is whole and durable, under a name of no meaning.
const BEFORE_RENAME: &str = "compact-before-rename";
/// The target is the vBucket's file, durably; the old one is still there.
const AFTER_RENAME: &str = "compact-after-rename";

/// A compaction of one vBucket.
pub(super) struct Compaction {
    vb: lowtide_checkpoint::Vbid,
    /// `None` once it is over.
    work: Option<Work>,
    report: CompactionReport,
}

struct Work {
    stage: Stage,
    revision: u64,
    // Dropped in this order: whoever compacts next finds the names free.
    files: Files,
    store: Store,
    shared: Arc<StoreContext>,
    claim: CompactionClaim,
}

/// What is to be done next.
enum Stage {
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
    Swap(Ready),
    Clean,
}

/// What follows a stage, and how far it came; `None` when nothing does.
type Next = Option<(Stage, Progress)>;

impl Compaction {
    /// # Errors
    /// [`EngineError::CompactionInProgress`], [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`].
    pub(super) fn begin(
        store: Store,
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
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError> {
        let over = EngineError::Aborted {
            vb: self.vb,
            why: "the compaction is over",
        };
        // An error drops all of it, last things first: the files go before the claim.
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
            // What was broken off under its feet may have looked like damage.
            let aborted = claim.published().err();
            aborted
                .filter(|aborted| matches!(aborted, EngineError::Aborted { .. }))
                .unwrap_or(error)
        });
        match advanced.inspect_err(|error| claim.note_refusal(error))? {
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
            None => Ok(Progress::Done(self.report)),
        }
    }
}

impl fmt::Debug for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest would be all rows it has in memory.
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
        // The old file is of no use any more. What can't be removed now is tried again later.
        let _ = with_directory(store, claim.vb(), |directory| {
            directory.remove_superseded(claim.vb())
        });
    }
}

/// What the stages work on.
struct Context<'a> {
    revision: &'a mut u64,
    files: &'a mut Files,
    store: &'a Store,
    shared: &'a Arc<StoreContext>,
    claim: &'a CompactionClaim,
    report: &'a mut CompactionReport,
}

impl Context<'_> {
    fn advance(&mut self, stage: Stage, budget: Budget) -> Result<Next, EngineError> {
        if let Stage::Clean = stage {
            // The new file is in place: what becomes of it now is no longer this job's concern.
            let vb = self.claim.vb();
            return match with_directory(self.store, vb, |directory| directory.remove_superseded(vb))
            {
                // Whoever opens the store next removes the old file.
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
                    Stage::Swap(Ready { target, at, view }),
                    Progress::Reached(BEFORE_RENAME),
                )))
            }
            Stage::Swap(ready) => self.swap(ready),
            Stage::Clean => Ok(None),
        }
    }

    fn start(
        &mut self,
        published: &PublishedCommit,
        request: CompactionRequest,
    ) -> Result<Next, EngineError> {
        // What is damaged is not to be copied, though it be sound in memory.
        let view = published.view.uncached();
        if view.header.encrypted {
            return Err(view
                .source
                .unsupported("compacting would leave the content in the clear"));
        }
        let vb = self.claim.vb();
        *self.revision = with_directory(self.store, vb, |directory| {
            // An earlier compaction may have failed to.
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
        let progress = working("copying", 0, rows(&view));
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
        let progress = working("copying", copying.done(), rows(&view).max(copying.done()));
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
        if copying.goes_on(&view, newest) {
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
            let progress = working("indexing", indexing.done, indexing.of);
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
            Progress::Reached(COPIED),
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
                let taken_out = self.claim.taken_out(&newest);
                // The commit that was copied last may have been a purge.
                if newest.position == at.position && taken_out.is_empty() {
                    return Ok(Some((
                        Stage::Commit { at, target },
                        Progress::Reached(CAUGHT_UP),
                    )));
                }
                Round::new(
                    &at,
                    newest,
                    taken_out,
                    self.shared.config.compaction.sort_bytes,
                )
            }
        };
        if !round.step(&mut target, self.report, budget)? {
            let progress = working("catching-up", 0, round.left());
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
        let behind_bytes = catch_up::behind_bytes(&at, &self.claim.published()?.view);
        if behind_bytes <= LAST_ROUND_BYTES_MAX || self.report.catch_up_rounds >= ROUNDS_MAX {
            return Ok(Some((
                Stage::Commit { at, target },
                Progress::Reached(CAUGHT_UP),
            )));
        }
        let progress = working("catching-up", 0, behind_bytes);
        Ok(Some((
            Stage::CatchUp {
                at,
                target,
                round: None,
            },
            progress,
        )))
    }

    fn swap(&mut self, ready: Ready) -> Result<Next, EngineError> {
        let is_last = self.report.catch_up_rounds >= ROUNDS_MAX;
        let behind_bytes_max = if is_last {
            u64::MAX
        } else {
            LAST_ROUND_BYTES_MAX
        };
        let parts = (self.claim, self.store, self.shared);
        match swap::swap(
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
                Ok(Some((Stage::Clean, Progress::Reached(AFTER_RENAME))))
            }
            Some(Ready { target, at, .. }) => {
                let progress = working("catching-up", 0, 0);
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

const fn working(stage: &'static str, done: u64, of: u64) -> Progress {
    Progress::Working { stage, done, of }
}

/// How many rows a commit has.
fn rows(view: &CommitView) -> u64 {
    match view.header.by_seqno.map(|root| root.reduction) {
        Some(Reduction::Rows(rows)) => rows,
        _ => 0,
    }
}

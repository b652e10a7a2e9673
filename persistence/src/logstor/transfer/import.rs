//! The import of a vBucket as a job: the pieces of an [`Export`](super::export::Export) are
//! committed to a hidden vBucket, which is adopted at the end.
//!
//! # Invariants (L36)
//!
//! - Records are committed under an epoch that no vBucket has, so they do not exist (L7), whatever
//!   is read and whenever the power fails. The last step is the edit of the manifest that gives the
//!   epoch to the vBucket.
//! - An import that failed or was dropped leaves records that nothing needs, and rewriting frees
//!   their segments.
//! - While it runs, rewriting finds its index like any other, so its records stay where they are
//!   referenced.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Item, Seqno, VBucketState, Vbid};

use super::export_format::{End, Head, PieceKind, items};
use super::import_source::ImportSource;
use crate::contract::{
    Budget, CommitBatch, CompactionReport, EngineError, Job, JobProgress, JobStage,
};
use crate::logstor::commit::{CommitOutcome, CommitRequest, EncodedBatch};
use crate::logstor::engine::Logstor;
use crate::logstor::format::{PurgedTombstones, decode_state, to_u64};
use crate::logstor::maintenance::{Maintenance, StoreLease};
use crate::logstor::vbucket::VBucketIndex;

impl Logstor {
    /// Starts the import of a vBucket from the pieces of an export, which `pieces` concatenates.
    /// The vBucket may get another number. It exists when the job is done, and not before; until
    /// then it can't be created. Dropping the job ends the import.
    ///
    /// Errors of a step are [`EngineError::Corrupt`], with the offset of the piece, if the export
    /// is damaged or ends early; [`EngineError::InvalidArgument`] if reading fails; and
    /// those of a commit. After one every further step returns [`EngineError::Aborted`].
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], also while it is being imported; [`EngineError::Poisoned`].
    pub fn import(
        &self,
        vb: Vbid,
        pieces: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Job>, EngineError> {
        self.store.begin_import(vb)?;
        Ok(Box::new(Import {
            lease: StoreLease::of(&self.maintenance),
            vb,
            source: ImportSource::new(pieces, vb),
            stage: Stage::Begin,
            report: CompactionReport::default(),
        }))
    }
}

/// Commits a batch to a vBucket that is being imported.
fn commit_hidden(maintenance: &Maintenance, encoded: EncodedBatch) -> Result<(), EngineError> {
    let vb = encoded.vbucket.vb;
    let store = &maintenance.store;
    let request = Arc::new(CommitRequest::new(vec![Ok(encoded)]));
    match store.commits.commit(maintenance, request)? {
        CommitOutcome::Done(results) => {
            let result = results
                .into_iter()
                .next()
                .invariant("E10", "each batch has one result")
                .map_err(|violation| store.context.internal(violation))?;
            result.map(drop)
        }
        CommitOutcome::Stale => Err(EngineError::Aborted {
            vb,
            why: "the store was closed",
        }),
    }
}

enum Stage {
    Begin,
    Records {
        vbucket: Arc<VBucketIndex>,
        head: Head,
        state: Option<VBucketState>,
    },
    Adopt {
        vbucket: Arc<VBucketIndex>,
        purged: PurgedTombstones,
    },
    /// The vBucket is there.
    Over,
    /// There is no vBucket, and another import of its number may have begun.
    Failed,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "Begin",
            Self::Records { .. } => "Records",
            Self::Adopt { .. } => "Adopt",
            Self::Over => "Over",
            Self::Failed => "Failed",
        })
    }
}

#[derive(Debug)]
struct Import {
    lease: StoreLease,
    vb: Vbid,
    source: ImportSource,
    stage: Stage,
    report: CompactionReport,
}

impl Job for Import {
    fn step(&mut self, budget: Budget) -> Result<JobProgress, EngineError> {
        let is_over = self.is_over();
        let lease = self.lease.clone();
        let result = lease.step(|maintenance| self.advance(maintenance, budget));
        if result.is_err() && !is_over {
            self.abandon();
        }
        result
    }
}

impl Import {
    /// Returns whether the number of the vBucket is no longer this import's.
    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over | Stage::Failed)
    }

    fn abandon(&mut self) {
        self.stage = Stage::Failed;
        if let Some(maintenance) = self.lease.in_memory() {
            maintenance.store.end_import(self.vb);
        }
    }

    fn advance(
        &mut self,
        maintenance: &Maintenance,
        mut budget: Budget,
    ) -> Result<JobProgress, EngineError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Ok(JobProgress::Done(self.report)),
            Stage::Failed => {
                self.stage = Stage::Failed;
                Err(EngineError::Aborted {
                    vb: self.vb,
                    why: "the import has failed",
                })
            }
            Stage::Adopt { vbucket, purged } => {
                maintenance.store.adopt(&vbucket, &purged)?;
                Ok(JobProgress::Done(self.report))
            }
            Stage::Begin => {
                let head: Head = self.source.head()?;
                let state = head
                    .state
                    .as_deref()
                    .map(|bytes| decode_state(bytes).ok_or("a damaged state"));
                let state = state
                    .transpose()
                    .map_err(|what| self.source.corrupt(what))?;
                let vbucket = maintenance.store.create_hidden(self.vb, &head.purged)?;
                self.stage = Stage::Records {
                    vbucket,
                    head,
                    state,
                };
                Ok(self.progress())
            }
            Stage::Records {
                vbucket,
                head,
                state,
            } => loop {
                let (kind, payload) = self.source.next()?;
                match kind {
                    PieceKind::Records => {
                        self.take(maintenance, &vbucket, &head, state.as_ref(), &payload)?
                    }
                    PieceKind::End => {
                        self.finish(maintenance, &vbucket, &head, state.as_ref(), &payload)?;
                        self.stage = Stage::Adopt {
                            vbucket,
                            purged: head.purged,
                        };
                        return Ok(self.progress());
                    }
                    PieceKind::Head => return Err(self.source.corrupt("a second head")),
                }
                if !budget.spend(to_u64(payload.len())) {
                    self.stage = Stage::Records {
                        vbucket,
                        head,
                        state,
                    };
                    return Ok(self.progress());
                }
            },
        }
    }

    fn progress(&self) -> JobProgress {
        let done = self.report.items_copied;
        JobProgress::Working {
            stage: JobStage::Importing,
            done,
            of: done,
        }
    }

    fn take(
        &mut self,
        maintenance: &Maintenance,
        vbucket: &Arc<VBucketIndex>,
        head: &Head,
        state: Option<&VBucketState>,
        payload: &Bytes,
    ) -> Result<(), EngineError> {
        let items: Option<Vec<Item>> = items(payload).collect();
        let items = items.ok_or_else(|| self.source.corrupt("a damaged record"))?;
        if items.is_empty() {
            return Ok(());
        }
        let state =
            state.ok_or_else(|| self.source.corrupt("records of a vBucket without a state"))?;
        if items.last().is_some_and(|last| last.seqno.0 > head.high) {
            return Err(self.source.corrupt("a seqno above the high seqno"));
        }
        let refs: Vec<&Item> = items.iter().collect();
        commit_hidden(
            maintenance,
            Self::encoded(maintenance, vbucket, &refs, state)?,
        )?;
        self.report.items_copied += to_u64(items.len());
        Ok(())
    }

    fn encoded(
        maintenance: &Maintenance,
        vbucket: &Arc<VBucketIndex>,
        items: &[&Item],
        state: &VBucketState,
    ) -> Result<EncodedBatch, EngineError> {
        let batch = CommitBatch {
            vb: vbucket.vb,
            items,
            state,
            timestamp: 0,
        };
        EncodedBatch::new(&batch, Arc::clone(vbucket), &maintenance.store.context)
    }

    /// Commits the state once more, with the high seqno, after the last record.
    fn finish(
        &mut self,
        maintenance: &Maintenance,
        vbucket: &Arc<VBucketIndex>,
        head: &Head,
        state: Option<&VBucketState>,
        payload: &Bytes,
    ) -> Result<(), EngineError> {
        let end: End = self.source.decode(payload)?;
        if end.records != self.report.items_copied {
            return Err(self.source.corrupt("records are missing"));
        }
        if let Some(state) = state {
            let last = Self::encoded(maintenance, vbucket, &[], state)?;
            commit_hidden(maintenance, last.with_high(Seqno(head.high)))?;
        }
        Ok(())
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if !self.is_over() {
            self.abandon();
        }
    }
}

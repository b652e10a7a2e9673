//! The flusher: writes vBuckets' changes to the engine and reports their durability.
//!
//! A flush has three steps, so that a host may let time pass between them. [`Flusher::begin`] reads
//! the batches, [`FlushGroup::commit`] commits them to the engine, and [`Flusher::finish`] reports
//! the results to the checkpoint managers and the host.
//!
//! # Invariants
//!
//! - F1. A persisted seqno is reported only once the engine acknowledged it, and never falls.
//! - F2. A failed flush loses nothing: the next one reads a superset of it, less the revisions
//!   replaced meanwhile.
//! - F3. Of several revisions of a key in one batch only the newest is written: the engine takes the
//!   last.
//! - F4. The state committed with a batch is true of exactly that batch, whatever is queued while
//!   it is written.
//! - F5. No item stops a vBucket's flushing: a vBucket does not accept what the engine can't store.
//!   One with wider limits is refused at its first flush.
//! - S21. A commit that takes a vBucket to a snapshot's end ends with it: no commit holds the end
//!   of one snapshot and a part of the next. [`ReadViews`] keeps the readers' view between ends.

mod group;

use std::collections::BTreeMap;

use lowtide_checkpoint::{CheckpointError, ReadLimit, Seqno, VBucket, VBucketState, Vbid};

use self::group::VBucketFlush;
pub use self::group::{CommittedGroup, FlushGroup};
use crate::contract::{Committed, EngineError};
use crate::read_views::ReadViews;

/// Writes vBuckets' changes to disk and tracks what is durable. The host drives it: it owns no
/// thread.
#[derive(Debug)]
pub struct Flusher {
    limit: ReadLimit,
    progress: BTreeMap<Vbid, Progress>,
    /// The number of attachments. It distinguishes a vBucket from an earlier one of the same
    /// number, whose flushes don't concern it.
    attached: u64,
    views: ReadViews,
}

/// The durable part of one vBucket.
#[derive(Clone, Debug)]
struct Progress {
    attachment: u64,
    state: VBucketState,
    high: Seqno,
}

/// The result of one vBucket's flush.
#[derive(Debug)]
#[non_exhaustive]
pub struct Flushed {
    /// The vBucket.
    pub vb: Vbid,
    /// The durable part now, or the error. After a failure the same changes, and newer ones, are
    /// flushed again: after a delay if the disk failed, and only after reopening the store if it is
    /// poisoned.
    pub result: Result<Persisted, EngineError>,
}

/// The durable part of a vBucket after a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Persisted {
    /// Everything up to this seqno is durable.
    pub seqno: Seqno,
    /// Every prepare up to this seqno is as durable here as its level demands.
    pub prepared: Seqno,
    /// The number of items written, without revisions that a newer one in the same batch replaced.
    pub items: usize,
    /// Whether the persistence cursor has more already.
    pub more: bool,
}

impl Flusher {
    /// Returns a flusher that reads at most about `limit` from a vBucket at once.
    #[must_use]
    pub fn new(limit: ReadLimit) -> Self {
        Self {
            limit,
            progress: BTreeMap::new(),
            attached: 0,
            views: ReadViews::default(),
        }
    }

    /// Attaches a vBucket, or attaches it again after its store was reopened. `state` and `high`
    /// are those in the engine: items up to `high` are not written again. Its readers' pin is
    /// dropped.
    pub fn attach(&mut self, vb: Vbid, state: VBucketState, high: Seqno) {
        self.attached += 1;
        self.views.forget(vb);
        self.progress.insert(
            vb,
            Progress {
                attachment: self.attached,
                state,
                high,
            },
        );
    }

    /// Detaches a vBucket.
    pub fn detach(&mut self, vb: Vbid) {
        self.progress.remove(&vb);
        self.views.forget(vb);
    }

    /// Returns the views for readers of its replicas.
    #[must_use]
    pub fn views(&self) -> &ReadViews {
        &self.views
    }

    /// Returns the seqno up to which everything is durable; `None` for a vBucket that is not
    /// attached.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.progress.get(&vb).map(|progress| progress.high)
    }

    /// Returns the state committed with it; `None` for a vBucket that is not attached.
    #[must_use]
    pub fn persisted_state(&self, vb: Vbid) -> Option<&VBucketState> {
        self.progress.get(&vb).map(|progress| &progress.state)
    }

    /// Reads the unpersisted changes of each vBucket. vBuckets without any take no part.
    ///
    /// # Errors
    /// [`CheckpointError::FlushInProgress`] if one of them is being flushed,
    /// [`CheckpointError::NoPersistenceCursor`] if one has no persistence cursor,
    /// [`CheckpointError::InvalidArgument`] if the flusher's limit is 0. No flush is then in progress
    /// that was not before.
    pub fn begin<'a>(
        &self,
        vbuckets: impl IntoIterator<Item = &'a VBucket>,
    ) -> Result<FlushGroup, CheckpointError> {
        let mut flushes = Vec::new();
        for vbucket in vbuckets {
            let Some(before) = self.progress.get(&vbucket.id()) else {
                continue;
            };
            let flush = vbucket.manager().begin_flush_to_boundary(self.limit)?;
            if flush.batch().is_empty() {
                flush.commit();
                continue;
            }
            let state = vbucket.state_with(flush.batch(), &before.state, before.high);
            let (attachment, on_disk) = (before.attachment, before.high);
            let limits = vbucket.manager().limits();
            flushes.push(VBucketFlush {
                vb: vbucket.id(),
                attachment,
                flush,
                state,
                on_disk,
                limits,
            });
        }
        Ok(FlushGroup {
            flushes,
            views: self.views.clone(),
        })
    }

    /// Records the results of a commit and reports them to the managers. A vBucket that was
    /// detached meanwhile, or attached again, is left out: the commit was not its own.
    pub fn finish(&mut self, group: CommittedGroup) -> Vec<Flushed> {
        let is_current = |flusher: &Self, flush: &VBucketFlush| {
            let progress = flusher.progress.get(&flush.vb);
            progress.is_some_and(|progress| progress.attachment == flush.attachment)
        };
        let (current, superseded): (Vec<_>, Vec<_>) = group
            .0
            .into_iter()
            .partition(|(flush, _)| is_current(self, flush));
        superseded
            .iter()
            .for_each(|(flush, _)| self.views.forget(flush.vb));
        current
            .into_iter()
            .map(|(flush, result)| self.finish_one(flush, result))
            .collect()
    }

    fn finish_one(
        &mut self,
        done: VBucketFlush,
        result: Result<Committed, EngineError>,
    ) -> Flushed {
        let VBucketFlush {
            vb,
            attachment,
            flush,
            state,
            ..
        } = done;
        let result = result.map(|committed| {
            let more = flush.batch().more();
            flush.commit();
            let progress = Progress {
                attachment,
                state,
                high: committed.high,
            };
            let prepared = progress.state.high_prepared_seqno;
            let persisted = Persisted {
                seqno: progress.high,
                prepared,
                items: committed.items,
                more,
            };
            self.progress.insert(vb, progress);
            persisted
        });
        Flushed { vb, result }
    }
}

#[cfg(test)]
mod tests;

//! The flusher: from a vBucket's persistence cursor to the engine, and the news back.
//!
//! A flush has three steps, so that a host may let time pass between them: [`Flusher::begin`] reads the batches,
//! [`FlushGroup::commit`] hands them to the engine, [`Flusher::finish`] tells the managers and the host how each went.
//! What always holds:
//!
//! - F1. A persisted seqno is reported only for what the engine acknowledged, and never falls.
//! - F2. A failed flush loses nothing: the next one reads a superset of it, less what was replaced meanwhile.
//! - F3. Of several revisions of a key in one batch the newest alone is written.
//! - F4. The state committed with a batch is true of exactly that batch, whatever is queued while it is written.
//! - F5. No item stops a vBucket's flushing: what the engine can't store its vBucket does not accept. One that was made with
//!   wider limits is told so at its first flush.
//! - S21. A commit that takes a vBucket to a snapshot's end ends with one: no commit has the end of one snapshot and a
//!   part of the next. What readers may see between ends is kept in [`ReadViews`].

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{
    CheckpointError, Flush, Item, ItemLimits, ReadLimit, Seqno, VBucket, VBucketState, Vbid,
};

use crate::contract::{Batch, Committed, Engine, EngineError};
use crate::read_views::ReadViews;

/// Moves vBuckets' changes to disk and knows how far each has come. The host drives it: it owns no thread.
#[derive(Debug)]
pub struct Flusher {
    limit: ReadLimit,
    progress: BTreeMap<Vbid, Progress>,
    /// vBuckets attached so far: what was flushed for one is nothing to another of its number.
    attached: u64,
    views: ReadViews,
}

/// What is durable of one vBucket.
#[derive(Clone, Debug)]
struct Progress {
    attachment: u64,
    state: VBucketState,
    high: Seqno,
}

/// How one vBucket's flush went.
#[derive(Debug)]
pub struct Flushed {
    /// The vBucket.
    pub vb: Vbid,
    /// What is durable now, or why nothing more is. After a failure the same changes, and newer ones, are flushed
    /// again: with a delay if it was the disk's, and only once the store was reopened if the store is poisoned.
    pub result: Result<Persisted, EngineError>,
}

/// What a flush made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// Everything up to this seqno is durable.
    pub seqno: Seqno,
    /// Every prepare up to this one is as durable here as it must be.
    pub prepared: Seqno,
    /// Items written: revisions that a newer one in the same batch replaced are not.
    pub items: usize,
    /// Whether the persistence cursor has more already.
    pub more: bool,
}

impl Flusher {
    /// A flusher that reads at most about `limit` from a vBucket at once.
    #[must_use]
    pub fn new(limit: ReadLimit) -> Self {
        Self {
            limit,
            progress: BTreeMap::new(),
            attached: 0,
            views: ReadViews::default(),
        }
    }

    /// Takes a vBucket on, or anew after its store was reopened: `state` and `high` are what the engine has of it.
    /// What the engine shows to be there is not written again; what was pinned of it for readers is forgotten.
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

    /// Forgets a vBucket.
    pub fn detach(&mut self, vb: Vbid) {
        self.progress.remove(&vb);
        self.views.forget(vb);
    }

    /// What readers of its replicas may see.
    #[must_use]
    pub fn views(&self) -> &ReadViews {
        &self.views
    }

    /// Everything up to this seqno is durable; `None` for a vBucket it does not have.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.progress.get(&vb).map(|progress| progress.high)
    }

    /// What was committed with it; `None` for a vBucket it does not have.
    #[must_use]
    pub fn persisted_state(&self, vb: Vbid) -> Option<&VBucketState> {
        self.progress.get(&vb).map(|progress| &progress.state)
    }

    /// Reads what is to be persisted of each vBucket. Those with nothing to persist take no part.
    ///
    /// # Errors
    /// [`CheckpointError::FlushInProgress`] if one of them is being flushed,
    /// [`CheckpointError::NoPersistenceCursor`] if one has none; no flush is in progress then that was not before.
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

    /// Takes note of what a commit did, and tells the managers. A vBucket that was detached meanwhile, or attached anew,
    /// is left out: what was written is not its own.
    pub fn finish(&mut self, group: CommittedGroup) -> Vec<Flushed> {
        let is_current = |flusher: &Self, flush: &VBucketFlush| {
            let progress = flusher.progress.get(&flush.vb);
            progress.is_some_and(|progress| progress.attachment == flush.attachment)
        };
        let (current, strangers): (Vec<_>, Vec<_>) = group
            .0
            .into_iter()
            .partition(|(flush, _)| is_current(self, flush));
        strangers
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

/// One vBucket's part in a flush.
#[derive(Debug)]
struct VBucketFlush {
    vb: Vbid,
    attachment: u64,
    flush: Flush,
    state: VBucketState,
    on_disk: Seqno,
    limits: ItemLimits,
}

impl VBucketFlush {
    /// A vBucket that accepts what the engine can't store comes to a halt sooner or later: that is told before it does.
    fn require_limits_within(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        let (limits, stored) = (self.limits, engine.capabilities().limits);
        if limits.are_within(&stored) {
            return Ok(());
        }
        let (vb, engine) = (self.vb, engine.name());
        Err(EngineError::InvalidArgument(format!(
            "vBucket {vb} accepts more than {engine} stores: {limits:?} is not within {stored:?}; make it with the engine's limits"
        )))
    }

    /// The newest revision of each key that is not on disk yet, ascending by seqno.
    fn items(&self) -> Vec<&Item> {
        let mut items: Vec<_> = self
            .flush
            .batch()
            .items()
            .filter(|item| item.operation.namespace().is_some() && item.seqno > self.on_disk)
            .collect();
        if items.len() > 1 {
            let mut seen = BTreeSet::new();
            items.reverse();
            items.retain(|item| seen.insert((item.operation.namespace(), &item.key)));
            items.reverse();
        }
        items
    }

    /// The last seqno on disk once these are.
    fn high_with(&self, items: &[&Item]) -> Seqno {
        items.last().map_or(self.on_disk, |item| item.seqno)
    }
}

/// Batches of one or more vBuckets, read and waiting to be committed. Dropped, they count as failed.
#[derive(Debug)]
#[must_use = "commit it; dropped, it counts as failed"]
pub struct FlushGroup {
    flushes: Vec<VBucketFlush>,
    views: ReadViews,
}

impl FlushGroup {
    /// Whether there was nothing to persist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flushes.is_empty()
    }

    /// Commits all batches in one call; `timestamp` is the host's time in nanoseconds since the epoch.
    pub fn commit(self, engine: &dyn Engine, timestamp: u64) -> CommittedGroup {
        let (sound, refused): (Vec<_>, Vec<_>) = self
            .flushes
            .into_iter()
            .map(|flush| (flush.require_limits_within(engine), flush))
            .partition(|(within, _)| within.is_ok());
        let refused = refused
            .into_iter()
            .filter_map(|(within, flush)| Some((flush, Err(within.err()?))));
        let refused: Vec<_> = refused.collect();
        let flushes: Vec<VBucketFlush> = sound.into_iter().map(|(_, flush)| flush).collect();
        let items: Vec<_> = flushes.iter().map(VBucketFlush::items).collect();
        let batches: Vec<_> = flushes
            .iter()
            .zip(&items)
            .map(|(flush, items)| Batch {
                vb: flush.vb,
                items,
                state: &flush.state,
                timestamp,
            })
            .collect();
        for (flush, items) in flushes.iter().zip(&items) {
            self.views
                .before(engine, flush.vb, &flush.state, flush.high_with(items));
        }
        let results = engine.commit(&batches);
        for (flush, result) in flushes.iter().zip(&results) {
            if let Ok(committed) = result {
                self.views.after(flush.vb, &flush.state, committed.high);
            }
        }
        drop(batches);
        drop(items);
        CommittedGroup(flushes.into_iter().zip(results).chain(refused).collect())
    }
}

/// What the engine said of a group, not yet taken note of. Dropped, everything in it counts as failed.
#[derive(Debug)]
#[must_use = "hand it to Flusher::finish"]
pub struct CommittedGroup(Vec<(VBucketFlush, Result<Committed, EngineError>)>);

impl CommittedGroup {
    /// How many items were committed.
    #[must_use]
    pub fn items(&self) -> usize {
        self.0
            .iter()
            .filter_map(|(_, result)| result.as_ref().ok())
            .map(|committed| committed.items)
            .sum()
    }
}

#[cfg(test)]
mod tests;

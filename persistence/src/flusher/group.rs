//! The batches of a flush between its steps: read and waiting for the commit, or committed and
//! waiting for the report.

use std::collections::BTreeSet;

use lowtide_checkpoint::{Flush, Item, ItemLimits, Seqno, VBucketState, Vbid};

use crate::contract::{CommitBatch, Committed, Engine, EngineError};
use crate::read_views::ReadViews;

/// One vBucket's part in a flush.
#[derive(Debug)]
pub(super) struct VBucketFlush {
    pub(super) vb: Vbid,
    pub(super) attachment: u64,
    pub(super) flush: Flush,
    pub(super) state: VBucketState,
    pub(super) on_disk: Seqno,
    pub(super) limits: ItemLimits,
}

impl VBucketFlush {
    /// Refuses a vBucket that accepts items the engine can't store. It would stop at such an item
    /// sooner or later; this reports it before.
    fn require_limits_within(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        let limits = self.limits;
        let stored = engine.capabilities().limits;
        if limits.are_within(&stored) {
            return Ok(());
        }
        let vb = self.vb;
        let engine = engine.name();
        Err(EngineError::InvalidArgument(format!(
            "vBucket {vb} accepts more than {engine} stores: {limits:?} is not within {stored:?}; make it with the engine's limits"
        )))
    }

    /// Returns the newest revision of each key that is not on disk yet, ascending by seqno.
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

    /// Returns the highest seqno on disk once these items are committed.
    fn high_with(&self, items: &[&Item]) -> Seqno {
        items.last().map_or(self.on_disk, |item| item.seqno)
    }
}

/// Batches of one or more vBuckets, read and waiting to be committed. If dropped, they count as
/// failed.
#[derive(Debug)]
#[must_use = "commit it; dropped, it counts as failed"]
pub struct FlushGroup {
    pub(super) flushes: Vec<VBucketFlush>,
    pub(super) views: ReadViews,
}

impl FlushGroup {
    /// Returns whether there was nothing to persist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flushes.is_empty()
    }

    /// Returns the vBuckets that it has a batch of.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.flushes.iter().map(|flush| flush.vb)
    }

    /// Commits all batches in one call. `timestamp` is the host's time in nanoseconds since the
    /// epoch.
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
            .map(|(flush, items)| CommitBatch {
                vb: flush.vb,
                items,
                state: &flush.state,
                timestamp,
            })
            .collect();
        for (flush, items) in flushes.iter().zip(&items) {
            self.views
                .before_commit(engine, flush.vb, &flush.state, flush.high_with(items));
        }
        let results = engine.commit(&batches);
        for (flush, result) in flushes.iter().zip(&results) {
            if let Ok(committed) = result {
                self.views
                    .after_commit(flush.vb, &flush.state, committed.high);
            }
        }
        drop(batches);
        drop(items);
        CommittedGroup(flushes.into_iter().zip(results).chain(refused).collect())
    }
}

/// A group with the engine's results, not yet recorded. If dropped, everything in it counts as
/// failed.
#[derive(Debug)]
#[must_use = "hand it to Flusher::finish"]
pub struct CommittedGroup(pub(super) Vec<(VBucketFlush, Result<Committed, EngineError>)>);

impl CommittedGroup {
    /// Returns the vBuckets that it had a batch of, committed or not.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.0.iter().map(|(flush, _)| flush.vb)
    }

    /// Returns the number of items committed.
    #[must_use]
    pub fn items(&self) -> usize {
        self.0
            .iter()
            .filter_map(|(_, result)| result.as_ref().ok())
            .map(|committed| committed.items)
            .sum()
    }
}

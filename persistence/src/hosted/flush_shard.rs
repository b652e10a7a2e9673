//! The flushes of one shard of a store's vBuckets: which of them are due, which wait, and what
//! follows a flush.
//!
//! A store has one shard or several, each for the vBuckets of its own; a host gives each a thread,
//! or a place in its event loop. A shard has a [`Flusher`] and adds what is between two flushes:
//!
//! ```text
//!  queued ──────▶ due ──begin──▶ in flight ──finish──▶ FlushNext::Due          more to do
//!                  ▲                                   FlushNext::After        it failed: a pause
//!                  └──────────────reopened──────────── FlushNext::Reopen       the store is poisoned
//! ```
//!
//! # Invariants
//!
//! - F6. A shard has at most one flush in flight. A vBucket that is queued meanwhile is due
//!   afterwards.
//! - F7. Nothing of a held vBucket is flushed: no flush that begins between [`FlushShard::hold`] and
//!   [`FlushShard::release`] has a batch of it. Other vBuckets do not wait for it.
//! - F8. No wake-up is lost, and none is repeated: of the calls after which the shard is due and
//!   before which it was not, each says so. An attached vBucket with something to persist is dirty
//!   or in flight.
//! - F9. A shard that met a poisoned store begins no flush before [`FlushShard::reopened`]. A
//!   reopened store may have more than was acknowledged, and never less: what it has is not written
//!   again.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use lowtide_checkpoint::{CheckpointError, ReadLimit, Seqno, VBucket, VBucketState, Vbid};

use super::backoff::Backoff;
use crate::contract::EngineError;
use crate::flusher::{CommittedGroup, FlushGroup, Flushed, Flusher};
use crate::read_views::ReadViews;

/// The flushes of some of a store's vBuckets.
///
/// The host calls it and executes what it returns; it owns no thread and no clock. What the methods
/// return as *due* is a wake-up: the host then calls [`FlushShard::begin`], now or a moment later,
/// in which more writes gather.
#[derive(Debug)]
pub struct FlushShard {
    flusher: Flusher,
    /// vBuckets with something to persist.
    dirty: BTreeSet<Vbid>,
    /// vBuckets that are not flushed for the time being.
    held: BTreeSet<Vbid>,
    /// vBuckets of the flush in flight.
    in_flight: Option<BTreeSet<Vbid>>,
    /// The store must be reopened before the next flush.
    awaits_reopening: bool,
    backoff: Backoff,
}

/// The results of a flush, and what follows.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it says what follows"]
pub struct FlushOutcome {
    /// Result of each vBucket. Those that were detached meanwhile are left out.
    pub flushed: Vec<Flushed>,
    /// Next step of the host.
    pub next: FlushNext,
}

/// Next step of a host after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushNext {
    /// Nothing is due. A later call says when there is.
    Idle,
    /// Begin the next flush.
    Due,
    /// The engine failed. Begin the next flush after a pause. Until then nothing else says that the
    /// shard is due.
    After {
        /// Length of the pause in microseconds.
        pause_micros: u64,
    },
    /// The store is poisoned. Close and open it, alone, then tell every shard what it has
    /// ([`FlushShard::attach_again`], [`FlushShard::reopened`]).
    Reopen,
}

impl FlushShard {
    /// Creates a shard without vBuckets, which reads at most about `limit` from a vBucket at once.
    #[must_use]
    pub fn new(limit: ReadLimit) -> Self {
        Self {
            flusher: Flusher::new(limit),
            dirty: BTreeSet::new(),
            held: BTreeSet::new(),
            in_flight: None,
            awaits_reopening: false,
            backoff: Backoff::new(),
        }
    }

    /// Attaches a vBucket with the state and the last seqno that the engine has of it: after its
    /// creation, a warm-up or a rollback. Items up to `high` are not written again.
    pub fn attach(&mut self, vb: Vbid, state: VBucketState, high: Seqno) {
        self.flusher.attach(vb, state, high);
    }

    /// Detaches a vBucket that is dropped. The result of its flush in flight concerns nothing.
    pub fn detach(&mut self, vb: Vbid) {
        self.flusher.detach(vb);
        self.dirty.remove(&vb);
    }

    /// Returns the read views of its vBuckets.
    #[must_use]
    pub fn views(&self) -> &ReadViews {
        self.flusher.views()
    }

    /// Returns the seqno up to which everything is durable; `None` for a vBucket that is not
    /// attached.
    #[must_use]
    pub fn persisted_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.flusher.persisted_seqno(vb)
    }

    /// Returns the state committed with it; `None` for a vBucket that is not attached.
    #[must_use]
    pub fn persisted_state(&self, vb: Vbid) -> Option<&VBucketState> {
        self.flusher.persisted_state(vb)
    }

    /// Records that a vBucket has something to persist. Returns `true` if the shard became due by
    /// it. O(log vBuckets).
    #[must_use = "a shard that became due is woken"]
    pub fn queued(&mut self, vb: Vbid) -> bool {
        self.changed(|shard| {
            shard.dirty.insert(vb);
        })
    }

    /// Holds a vBucket: an engine call for it is pending, and it is not flushed meanwhile. The call
    /// also waits for the flush in flight, if that has the vBucket ([`FlushShard::is_flushing`]).
    pub fn hold(&mut self, vb: Vbid) {
        self.held.insert(vb);
    }

    /// Ends the hold of a vBucket: its last engine call is done. Returns `true` if the shard became
    /// due by it.
    #[must_use = "a shard that became due is woken"]
    pub fn release(&mut self, vb: Vbid) -> bool {
        self.changed(|shard| {
            shard.held.remove(&vb);
        })
    }

    /// Returns `true` if a flush can begin that has something to persist.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.in_flight.is_none() && !self.awaits_reopening && self.flushable().next().is_some()
    }

    /// Returns `true` if the store must be reopened before the next flush.
    #[must_use]
    pub fn reopen_is_due(&self) -> bool {
        self.awaits_reopening
    }

    /// Returns `true` if a flush was begun and is not finished.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Returns `true` if the flush in flight has a batch of the vBucket, or of an earlier one of that
    /// number.
    #[must_use]
    pub fn is_flushing(&self, vb: Vbid) -> bool {
        self.in_flight.as_ref().is_some_and(|vbs| vbs.contains(&vb))
    }

    /// Returns `true` if nothing is in flight and no vBucket has something to persist, held or not.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.dirty.is_empty()
    }

    /// Begins a flush of everything that is due, as one group. `lookup` gives the vBucket of a
    /// number, `None` for one that is gone. Returns `None` if there is nothing to do: a flush is in
    /// flight, or the store must be reopened first. O(due vBuckets).
    ///
    /// # Errors
    /// Same as [`Flusher::begin`]. Everything is as due as it was.
    pub fn begin<V: Borrow<VBucket>>(
        &mut self,
        lookup: impl Fn(Vbid) -> Option<V>,
    ) -> Result<Option<FlushGroup>, CheckpointError> {
        if !self.is_due() {
            return Ok(None);
        }
        let due: Vec<_> = self.flushable().collect();
        let vbuckets: Vec<V> = due.iter().filter_map(|&vb| lookup(vb)).collect();
        let borrowed = vbuckets.iter().map(<V as Borrow<VBucket>>::borrow);
        let group = self.flusher.begin(borrowed)?;
        for vb in &due {
            self.dirty.remove(vb);
        }
        if group.is_empty() {
            return Ok(None);
        }
        self.in_flight = Some(group.vbuckets().collect());
        Ok(Some(group))
    }

    /// Records the results of the flush in flight.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for another group than the one in flight. Nothing has
    /// changed; that group counts as failed.
    pub fn finish(&mut self, group: CommittedGroup) -> Result<FlushOutcome, CheckpointError> {
        let vbs: BTreeSet<_> = group.vbuckets().collect();
        if self.in_flight.as_ref() != Some(&vbs) {
            return Err(CheckpointError::InvalidArgument(
                "the group is not the shard's flush in flight",
            ));
        }
        self.in_flight = None;
        let flushed = self.flusher.finish(group);
        let (mut has_failed, mut is_poisoned) = (false, false);
        for Flushed { vb, result } in &flushed {
            match result {
                Ok(persisted) if !persisted.more => continue,
                Ok(_) => {}
                Err(error) => {
                    has_failed = true;
                    is_poisoned |= matches!(error, EngineError::Poisoned { .. });
                }
            }
            self.dirty.insert(*vb);
        }
        let next = if is_poisoned {
            self.awaits_reopening = true;
            FlushNext::Reopen
        } else if has_failed {
            let pause_micros = self.backoff.failed();
            FlushNext::After { pause_micros }
        } else {
            self.backoff.succeeded();
            self.next()
        };
        Ok(FlushOutcome { flushed, next })
    }

    /// Records that the group in flight was dropped and not committed. Its vBuckets are due again.
    pub fn abandon(&mut self) -> FlushNext {
        let abandoned = self.in_flight.take().unwrap_or_default();
        let attached = abandoned.into_iter().filter(|&vb| self.is_attached(vb));
        let attached: Vec<_> = attached.collect();
        self.dirty.extend(attached);
        self.next()
    }

    /// Stops beginning flushes, because something else met a poisoned store: an engine call, or
    /// another shard. [`FlushShard::reopened`] ends it.
    pub fn await_reopening(&mut self) {
        self.awaits_reopening = true;
    }

    /// Attaches a vBucket again that a reopened store has. `state` is `None` if the store has no
    /// commit of it: then it is as it was created. A vBucket that is not attached, or held, is left
    /// out: a call that waits decides what becomes of it.
    pub fn attach_again(&mut self, vb: Vbid, state: Option<VBucketState>, high: Seqno) {
        if !self.is_attached(vb) || self.held.contains(&vb) {
            return;
        }
        if let Some(state) = state {
            self.flusher.attach(vb, state, high);
        }
        self.dirty.insert(vb);
    }

    /// Continues on a reopened store, of which each vBucket was attached again. Returns `true` if the
    /// shard became due by it.
    #[must_use = "a shard that became due is woken"]
    pub fn reopened(&mut self) -> bool {
        self.changed(|shard| shard.awaits_reopening = false)
    }

    /// Runs `step`. Returns `true` if the shard became due by it.
    fn changed(&mut self, step: impl FnOnce(&mut Self)) -> bool {
        let was_due = self.is_due();
        step(self);
        !was_due && self.is_due()
    }

    fn next(&self) -> FlushNext {
        if self.is_due() {
            FlushNext::Due
        } else {
            FlushNext::Idle
        }
    }

    fn flushable(&self) -> impl Iterator<Item = Vbid> {
        self.dirty.difference(&self.held).copied()
    }

    fn is_attached(&self, vb: Vbid) -> bool {
        self.flusher.persisted_seqno(vb).is_some()
    }
}

#[cfg(test)]
mod tests;

//! Queue of a store's engine calls besides flushes: which may run now, concurrently with which.
//!
//! # Invariants
//!
//! - N1. At most one engine operation of a vBucket is in progress, a flush or a call. A reopening is
//!   in progress alone: it waits for all others, and nothing starts before its end.
//! - N7. The calls of one vBucket are executed in the order of their requests. A failed call is the
//!   next of its vBucket to be tried, after its pause. Calls of other vBuckets do not wait for it.
//!   No call passes a [`EngineCall::Reopen`].
//! - N8. A vBucket is unsettled from the request of a call until the last of its calls is done.
//! - A drop cancels the earlier calls of its vBucket. Waiting ones are removed, and the answer of a
//!   running one is ignored.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lowtide_checkpoint::{CheckpointError, Vbid};

use super::engine_call::{EngineAnswer, EngineCall, EngineDone};
use crate::contract::EngineError;
use crate::fault::{self, Fault};
use crate::hosted::backoff::Backoff;

/// Engine calls of one store.
///
/// The host pushes calls, starts those that [`Calls::begin`] returns, and hands their answers to
/// [`Calls::finish`]. It says which vBuckets its flushes contain, and flushes no vBucket that
/// [is unsettled](Calls::is_unsettled).
#[derive(Debug, Default)]
pub struct Calls {
    waiting: VecDeque<EngineCall>,
    running: Vec<Running>,
    /// vBuckets of flushes in flight.
    flushing: BTreeSet<Vbid>,
    /// vBuckets whose next call failed and waits for the end of its pause. `None` stands for the
    /// whole store.
    paused: BTreeSet<Option<Vbid>>,
    /// Pauses of the vBuckets whose last call failed.
    backoffs: BTreeMap<Option<Vbid>, Backoff>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    call: EngineCall,
    /// The answer is ignored: the vBucket is to be dropped.
    is_void: bool,
}

/// Result of a call, for its host.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it says what follows"]
pub enum CallOutcome<C> {
    /// The vBucket was dropped meanwhile, and may be created again: the answer concerns the old one.
    Void,
    /// The call is done. After [`EngineAnswer::NeedsReset`] the reset is queued.
    Done {
        /// The call.
        call: EngineCall,
        /// Answer of the engine.
        answer: EngineAnswer<C>,
    },
    /// The call failed, and is queued again.
    Failed {
        /// The call.
        call: EngineCall,
        /// The error.
        error: EngineError,
        /// Next step of the host.
        next: CallNext,
    },
}

/// Next step of a host after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallNext {
    /// [`Calls::resume`] after a pause. Until then the vBucket's calls wait.
    After {
        /// Length of the pause in microseconds.
        pause_micros: u64,
    },
    /// The store is poisoned, and its reopening is queued. The shards must begin no flush before it
    /// is done ([`FlushShard::await_reopening`](crate::FlushShard::await_reopening)).
    Reopen,
}

impl Calls {
    /// Creates an empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a call after all others. A drop cancels the earlier calls of its vBucket. The vBucket
    /// is unsettled from now on.
    pub fn push(&mut self, call: EngineCall) {
        if let EngineCall::Drop(vb) = call {
            self.cancel(vb);
        }
        self.waiting.push_back(call);
    }

    /// Queues a reopening of the store before all others, unless one is queued or running.
    pub fn reopen(&mut self) {
        if !self.is_reopen_due() {
            self.waiting.push_front(EngineCall::Reopen);
        }
    }

    /// Starts the next call that may run now. Returns `None` if there is none; the end of a call, of
    /// a pause or of a flush may change that. O(calls).
    pub fn begin(&mut self) -> Option<EngineCall> {
        let index = if self.is_reopen_due() {
            let is_alone = self.running.is_empty() && self.flushing.is_empty();
            let is_free = is_alone && !self.paused.contains(&None);
            self.position_of_reopen().filter(|_| is_free)?
        } else {
            let may_run = |call: &EngineCall| call.vbucket().is_some_and(|vb| self.is_free(vb));
            self.waiting.iter().position(may_run)?
        };
        let call = self.waiting.remove(index)?;
        let is_void = false;
        self.running.push(Running { call, is_void });
        Some(call)
    }

    /// Records the answer of a call, and queues what follows from it.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for a call that is not running, and for an answer of
    /// another kind of call. Nothing has changed.
    pub fn finish<C>(&mut self, done: EngineDone<C>) -> Result<CallOutcome<C>, CheckpointError> {
        let EngineDone { call, result } = done;
        let place = self.running.iter().position(|running| running.call == call);
        let place = place.ok_or(CheckpointError::InvalidArgument(
            "the call of that answer is not running",
        ))?;
        if result.as_ref().is_ok_and(|answer| !is_of(answer, call)) {
            return Err(CheckpointError::InvalidArgument(
                "the answer is of another kind of call",
            ));
        }
        if self.running.swap_remove(place).is_void {
            return Ok(CallOutcome::Void);
        }
        let of = call.vbucket();
        let answer = match result {
            Err(error) => {
                let next = self.failed(call, &error);
                return Ok(CallOutcome::Failed { call, error, next });
            }
            Ok(answer) => answer,
        };
        self.backoffs.remove(&of);
        if let (EngineAnswer::NeedsReset, Some(vb)) = (&answer, of) {
            self.waiting.push_front(EngineCall::Reset(vb));
        }
        Ok(CallOutcome::Done { call, answer })
    }

    /// Ends the pause of a failed call.
    pub fn resume(&mut self, call: EngineCall) {
        self.paused.remove(&call.vbucket());
    }

    /// Records that a flush with these vBuckets begins. No call of them runs before its end.
    pub fn flush_began(&mut self, vbs: impl IntoIterator<Item = Vbid>) {
        self.flushing.extend(vbs);
    }

    /// Records that a flush with these vBuckets has ended.
    pub fn flush_ended(&mut self, vbs: impl IntoIterator<Item = Vbid>) {
        for vb in vbs {
            self.flushing.remove(&vb);
        }
    }

    /// Returns `true` if `call` was started and has not ended.
    #[must_use]
    pub fn is_running(&self, call: EngineCall) -> bool {
        self.running.iter().any(|running| running.call == call)
    }

    /// Returns the number of calls that were started and have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns `true` if the vBucket is being created, rolled back or dropped, or waits for that.
    /// O(calls).
    #[must_use]
    pub fn is_unsettled(&self, vb: Vbid) -> bool {
        let is_of = |call: &EngineCall| call.vbucket() == Some(vb);
        let mut running = self.running.iter().filter(|running| !running.is_void);
        self.waiting.iter().any(is_of) || running.any(|running| is_of(&running.call))
    }

    /// Returns `true` if the store must be reopened before the next flush or call, or is being
    /// reopened.
    #[must_use]
    pub fn is_reopen_due(&self) -> bool {
        self.position_of_reopen().is_some() || self.is_running(EngineCall::Reopen)
    }

    /// Returns `true` if no call is queued or running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Returns `true` if nothing keeps the first call of a vBucket from running.
    fn is_free(&self, vb: Vbid) -> bool {
        let of = Some(vb);
        let is_flushing = self.flushing.contains(&vb) && !fault::is(Fault::CallBesideItsFlush);
        let mut running = self.running.iter();
        let is_running = running.any(|running| running.call.vbucket() == of);
        !is_flushing && !is_running && !self.paused.contains(&of)
    }

    fn position_of_reopen(&self) -> Option<usize> {
        let is_reopen = |call: &EngineCall| *call == EngineCall::Reopen;
        self.waiting.iter().position(is_reopen)
    }

    /// Queues a failed call again, before all others of its vBucket.
    fn failed(&mut self, call: EngineCall, error: &EngineError) -> CallNext {
        if fault::is(Fault::FailedCallGoesLast) {
            self.waiting.push_back(call);
        } else {
            self.waiting.push_front(call);
        }
        let is_poisoned = matches!(error, EngineError::Poisoned { .. });
        if is_poisoned && call != EngineCall::Reopen {
            self.reopen();
            return CallNext::Reopen;
        }
        let of = call.vbucket();
        self.paused.insert(of);
        let pause_micros = self.backoffs.entry(of).or_default().failed();
        CallNext::After { pause_micros }
    }

    fn cancel(&mut self, vb: Vbid) {
        let of = Some(vb);
        self.waiting.retain(|call| call.vbucket() != of);
        self.paused.remove(&of);
        self.backoffs.remove(&of);
        let running = self.running.iter_mut();
        for running in running.filter(|running| running.call.vbucket() == of) {
            running.is_void = true;
        }
    }
}

/// Returns `true` if a call of that kind may have that answer.
const fn is_of<C>(answer: &EngineAnswer<C>, call: EngineCall) -> bool {
    use EngineCall::{Create, Drop, Reopen, Reset, Rollback};
    match answer {
        EngineAnswer::Done => matches!(call, Create(_) | Drop(_)),
        EngineAnswer::RolledBack(_) => matches!(call, Rollback(..) | Reset(_)),
        EngineAnswer::NeedsReset => matches!(call, Rollback(..)),
        EngineAnswer::Reopened { .. } => matches!(call, Reopen),
    }
}

#[cfg(test)]
mod tests;

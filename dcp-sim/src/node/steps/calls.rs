//! Engine calls of a node: which begin, and what follows from their answers.
//!
//! # Invariants
//!
//! - N1. A call waits for the flush of its vBucket, a reopening for every flush and call.
//! - N2. A failed call is retried after a pause, on a poisoned store after reopening.
//! - N8. The flushes of an unsettled vBucket are held.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::{invariant, violated};
use lowtide_persistence::{
    Attached, CallNext, CallOutcome, EngineAnswer, EngineCall, EngineError, FlushShard,
};

use crate::fault::{self, Fault};
use crate::node::engine::CallDone;
use crate::node::error::NodeError;
use crate::node::event::{Action, Event};
use crate::node::state::Node;
use crate::node::vbuckets::Stored;

impl Node {
    /// Queues an engine call, and starts it if it may run.
    pub(in crate::node) fn call(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.push(call);
        if let Some(vb) = call.vbucket() {
            self.hold_if_unsettled(vb, actions);
        }
        self.begin_calls(actions);
    }

    /// Starts the engine calls that may run now.
    pub(in crate::node) fn begin_calls(&mut self, actions: &mut Vec<Action>) {
        while let Some(call) = self.calls.begin() {
            if call == EngineCall::Reopen {
                // The closed store's pins mean nothing to the reopened one.
                let shards = self.shards.iter();
                shards.for_each(|shard| shard.views().forget_all());
            }
            actions.push(Action::Call(call));
        }
    }

    /// Holds back the flushes of a vBucket that the engine has not created, or in a rollback, to
    /// which nothing may be added (N8).
    pub(in crate::node) fn hold_if_unsettled(&mut self, vb: Vbid, actions: &mut Vec<Action>) {
        let shard = self.shards.of_mut(vb);
        if self.calls.is_unsettled(vb) && !fault::is(Fault::ReopenedIsTakenAtItsWord) {
            shard.hold(vb);
        } else if shard.release(vb) {
            let shard = self.shards.number(vb);
            actions.push(Action::WakeFlusher { shard });
        }
    }

    /// Retries a failed call after its pause.
    pub(in crate::node) fn retry(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.resume(call);
        self.begin_calls(actions);
    }

    pub(in crate::node) fn engine_done(
        &mut self,
        done: CallDone,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        invariant!(
            self.calls.is_running(done.call),
            "N1",
            "a call that was answered was in progress"
        );
        match self.calls.finish(done).map_err(NodeError::Answer)? {
            CallOutcome::Done { call, answer } => self.call_done(call, answer, actions)?,
            CallOutcome::Failed { call, error, next } => {
                self.call_failed(call, error, next, actions);
            }
            // The vBucket was dropped: the answer concerns nothing.
            _ => {}
        }
        self.begin_calls(actions);
        Ok(())
    }

    fn call_done(
        &mut self,
        call: EngineCall,
        answer: EngineAnswer<Box<Stored>>,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        match (call.vbucket(), answer) {
            (Some(vb), EngineAnswer::RolledBack(stored)) => {
                self.rolled_back(vb, *stored, actions)?;
            }
            (Some(vb), EngineAnswer::Done) => {
                self.hold_if_unsettled(vb, actions);
                if !self.calls.is_unsettled(vb) {
                    actions.push(Action::Settled { vb });
                }
            }
            (
                None,
                EngineAnswer::Reopened {
                    attached,
                    unreadable,
                },
            ) => {
                // Each flush of them reports the damage again.
                let damage = unreadable.into_iter().map(|(_, error)| error);
                actions.extend(damage.map(|error| Action::EngineFailed {
                    what: call.name(),
                    error,
                }));
                self.reopened(attached, actions);
            }
            // Its reset is queued.
            (Some(_), EngineAnswer::NeedsReset) => {}
            _ => return Err(violated("N7", "a call has an answer of its kind").into()),
        }
        Ok(())
    }

    fn call_failed(
        &mut self,
        call: EngineCall,
        error: EngineError,
        next: CallNext,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::EngineFailed {
            what: call.name(),
            error,
        });
        match next {
            CallNext::After { pause_micros } => {
                let event = Box::new(Event::Retry(call));
                actions.push(Action::Later {
                    pause_micros,
                    event,
                });
            }
            _ => self.await_reopening(),
        }
    }

    /// Keeps every shard from flushing until the store was reopened.
    pub(in crate::node) fn await_reopening(&mut self) {
        self.shards.iter_mut().for_each(FlushShard::await_reopening);
    }

    /// Continues with a reopened store. The content of a vBucket with pending calls will change with
    /// them.
    fn reopened(&mut self, attached: Vec<Attached>, actions: &mut Vec<Action>) {
        for Attached {
            vb, state, high, ..
        } in attached
        {
            self.shards.of_mut(vb).attach_again(vb, state, high);
        }
        for (shard, flushes) in self.shards.iter_mut().enumerate() {
            if flushes.reopened() {
                actions.push(Action::WakeFlusher { shard });
            }
        }
    }
}

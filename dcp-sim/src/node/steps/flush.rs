//! The flusher's side of a node, and whatever else its engine does: one thing at a time (N1), again if it failed (N2).

use std::collections::BTreeSet;

use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{CommittedGroup, EngineError, Flushed, whole_seqno};

use crate::fault::{self, Fault};
use crate::node::engine::{Attached, EngineCall};
use crate::node::error::NodeError;
use crate::node::event::{Action, Event};
use crate::node::state::Node;

/// The first pause after a failure; it doubles with each that follows.
const PAUSE_MICROS: u64 = 1_000;
/// It doubles so often at most.
const DOUBLINGS_MAX: u32 = 8;

impl Node {
    pub(in crate::node) fn flush(&mut self, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        if self.is_engine_busy || self.calls.is_reopen_due() {
            return Ok(());
        }
        // One that the engine has not made yet can't be flushed, and of one that goes back nothing may be added.
        let (waiting, due): (BTreeSet<_>, BTreeSet<_>) = std::mem::take(&mut self.dirty)
            .into_iter()
            .partition(|&vb| !self.can_be_flushed(vb));
        self.dirty = waiting;
        let vbuckets = due
            .iter()
            .filter_map(|&vb| self.partitions.get(vb))
            .map(|partition| &partition.vbucket);
        let group = self.flusher.begin(vbuckets)?;
        if !group.is_empty() {
            self.is_engine_busy = true;
            actions.push(Action::Commit(group));
        }
        Ok(())
    }

    pub(in crate::node) fn flushed(
        &mut self,
        group: CommittedGroup,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        self.is_engine_busy = false;
        let (mut failure, mut prepared) = (None, Vec::new());
        for Flushed { vb, result } in self.flusher.finish(group) {
            match result {
                Ok(persisted) => {
                    let state = self.flusher.persisted_state(vb);
                    let whole =
                        state.map_or(persisted.seqno, |state| whole_seqno(state, persisted.seqno));
                    // A replica's store learns of its active's purges with what its stream brings.
                    let purged = state.map_or(Seqno::ZERO, |state| state.purge_seqno);
                    self.purged(vb, purged);
                    prepared.push((vb, persisted.prepared));
                    let (seqno, items) = (persisted.seqno, persisted.items);
                    actions.push(Action::Persisted {
                        vb,
                        seqno,
                        whole,
                        items,
                    });
                    if persisted.more {
                        self.dirty.insert(vb);
                    }
                    self.expel(vb);
                }
                Err(error) => {
                    self.dirty.insert(vb);
                    failure = Some(error);
                }
            }
        }
        match failure {
            None => {
                self.failures = 0;
                self.proceed(actions);
            }
            Some(error) => self.flush_failed(error, actions),
        }
        prepared
            .into_iter()
            .try_for_each(|(vb, seqno)| self.prepared(vb, seqno, actions))
    }

    fn flush_failed(&mut self, error: EngineError, actions: &mut Vec<Action>) {
        if matches!(error, EngineError::Poisoned { .. }) {
            self.calls.reopen();
        }
        actions.push(Action::EngineFailed {
            what: "flush",
            error,
        });
        if !self.begin_call(actions) {
            let pause = self.pause_micros();
            actions.push(Action::Later(pause, Box::new(Event::FlushDue)));
        }
    }

    /// Has the engine do something as soon as it can.
    pub(in crate::node) fn call(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.push(call);
        self.proceed(actions);
    }

    /// The engine is free: what waits for it goes on.
    pub(in crate::node) fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.is_engine_busy {
            return;
        }
        if !self.begin_call(actions) && self.is_flush_due() {
            actions.push(Action::WakeFlusher);
        }
    }

    /// Has the engine, which is free, carry out the next call; `false` if there is none that may be.
    fn begin_call(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(call) = self.calls.begin() else {
            return false;
        };
        if call == EngineCall::Reopen {
            self.flusher.views().forget_all();
        }
        self.is_engine_busy = true;
        actions.push(Action::Call(call));
        true
    }

    /// Whether there is something to persist that can be persisted now.
    pub(in crate::node) fn is_flush_due(&self) -> bool {
        !self.calls.is_reopen_due() && self.dirty.iter().any(|&vb| self.can_be_flushed(vb))
    }

    fn can_be_flushed(&self, vb: Vbid) -> bool {
        !self.calls.is_unsettled(vb) || fault::is(Fault::ReopenedIsTakenAtItsWord)
    }

    /// A call failed: it comes again after a pause. A poisoned store is reopened first.
    pub(in crate::node) fn call_failed(
        &mut self,
        call: EngineCall,
        error: EngineError,
        actions: &mut Vec<Action>,
    ) {
        let is_poisoned = matches!(error, EngineError::Poisoned { .. });
        actions.push(Action::EngineFailed {
            what: call.name(),
            error,
        });
        if is_poisoned {
            self.calls.push_first(call);
            self.calls.reopen();
        } else {
            self.calls.pause(call);
            let pause = self.pause_micros();
            actions.push(Action::Later(pause, Box::new(Event::Retry(call))));
        }
        self.proceed(actions);
    }

    /// A call that failed is tried again: its pause is over.
    pub(in crate::node) fn retry(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.resume(call);
        self.proceed(actions);
    }

    fn pause_micros(&mut self) -> u64 {
        let pause = PAUSE_MICROS << self.failures.min(DOUBLINGS_MAX);
        self.failures += 1;
        pause
    }

    /// The store was opened anew: what it has may be more than was acknowledged, and never less.
    pub(in crate::node) fn reopened(&mut self, attached: Vec<Attached>) {
        for Attached { vb, state, high } in attached {
            // What the store has of one that is to go, or to go back, is not what its calls will leave.
            let is_settled =
                !self.calls.is_unsettled(vb) || fault::is(Fault::ReopenedIsTakenAtItsWord);
            let settled = self.partitions.get(vb).filter(|_| is_settled);
            let Some(partition) = settled else { continue };
            // Nothing was ever committed: it is as it was when it was made.
            if let Some(state) = state {
                self.flusher.attach(vb, state, high);
            }
            self.dirty.insert(partition.vbucket.id());
        }
    }

    pub(in crate::node) fn expel(&self, vb: Vbid) {
        if let Some(partition) = self.partitions.get(vb) {
            partition.vbucket.manager().expel();
        }
    }
}

//! The flusher's side of a node, and whatever else its engine does: one thing at a time (N1), again if it failed (N2).

use checkpoint::{Seqno, Vbid};
use persistence::{CommittedGroup, EngineError, Flushed, whole_seqno};

use super::{Action, Attached, EngineCall, Event, Node, NodeError};

/// The first pause after a failure; it doubles with each that follows.
const PAUSE_MICROS: u64 = 1_000;
/// It doubles so often at most.
const DOUBLINGS_MAX: u32 = 8;

impl Node {
    pub(super) fn flush(&mut self, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        if self.is_engine_busy {
            return Ok(());
        }
        let due = std::mem::take(&mut self.dirty);
        let vbuckets =
            due.iter().filter_map(|&vb| self.partitions.get(vb)).map(|partition| &partition.vbucket);
        let group = self.flusher.begin(vbuckets)?;
        if !group.is_empty() {
            self.is_engine_busy = true;
            actions.push(Action::Commit(group));
        }
        Ok(())
    }

    pub(super) fn flushed(
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
                    let whole = state.map_or(persisted.seqno, |state| whole_seqno(state, persisted.seqno));
                    // A replica's store learns of its active's purges with what its stream brings.
                    let purged = state.map_or(Seqno::ZERO, |state| state.purge_seqno);
                    self.purged(vb, purged);
                    prepared.push((vb, persisted.prepared));
                    let (seqno, items) = (persisted.seqno, persisted.items);
                    actions.push(Action::Persisted { vb, seqno, whole, items });
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
        prepared.into_iter().try_for_each(|(vb, seqno)| self.prepared(vb, seqno, actions))
    }

    fn flush_failed(&mut self, error: EngineError, actions: &mut Vec<Action>) {
        if matches!(error, EngineError::Poisoned { .. }) {
            self.calls.push_front(EngineCall::Reopen);
        }
        actions.push(Action::EngineFailed { what: "flush", error });
        if self.calls.is_empty() {
            let pause = self.pause_micros();
            actions.push(Action::Later(pause, Box::new(Event::FlushDue)));
        } else {
            self.proceed(actions);
        }
    }

    /// Has the engine do something as soon as it can.
    pub(super) fn call(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.push_back(call);
        self.proceed(actions);
    }

    /// The engine is free: what waits for it goes on.
    pub(super) fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.is_engine_busy {
            return;
        }
        if let Some(call) = self.calls.pop_front() {
            if call == EngineCall::Reopen {
                self.flusher.views().forget_all();
            }
            self.is_engine_busy = true;
            actions.push(Action::Call(call));
        } else if !self.dirty.is_empty() {
            actions.push(Action::WakeFlusher);
        }
    }

    /// A call failed: it comes again after a pause. A poisoned store is reopened first.
    pub(super) fn call_failed(&mut self, call: EngineCall, error: EngineError, actions: &mut Vec<Action>) {
        let is_poisoned = matches!(error, EngineError::Poisoned { .. });
        actions.push(Action::EngineFailed { what: call.name(), error });
        if is_poisoned {
            self.calls.push_front(call);
            self.calls.push_front(EngineCall::Reopen);
        } else {
            let pause = self.pause_micros();
            actions.push(Action::Later(pause, Box::new(Event::Retry(call))));
        }
        self.proceed(actions);
    }

    fn pause_micros(&mut self) -> u64 {
        let pause = PAUSE_MICROS << self.failures.min(DOUBLINGS_MAX);
        self.failures += 1;
        pause
    }

    /// The store was opened anew: what it has may be more than was acknowledged, and never less.
    pub(super) fn reopened(&mut self, attached: Vec<Attached>) {
        for Attached { vb, state, high } in attached {
            let Some(partition) = self.partitions.get(vb) else { continue };
            // Nothing was ever committed: it is as it was when it was made.
            if let Some(state) = state {
                self.flusher.attach(vb, state, high);
            }
            self.dirty.insert(partition.vbucket.id());
        }
    }

    pub(super) fn expel(&self, vb: Vbid) {
        if let Some(partition) = self.partitions.get(vb) {
            partition.vbucket.manager().expel();
        }
    }
}

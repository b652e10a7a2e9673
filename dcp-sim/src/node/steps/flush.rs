//! Flushes and engine calls of a node: one operation at a time (N1), retried after a failure (N2).

use std::collections::BTreeSet;

use lowtide_checkpoint::internal::invariant;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{CommittedGroup, EngineError, Flushed, whole_seqno};

use crate::fault::{self, Fault};
use crate::node::engine::{Attached, EngineCall};
use crate::node::error::NodeError;
use crate::node::event::{Action, Event};
use crate::node::state::Node;

/// Pause after the first failure. It doubles with each further one.
const PAUSE_MICROS: u64 = 1_000;
/// Largest number of doublings.
const DOUBLINGS_MAX: u32 = 8;

impl Node {
    pub(in crate::node) fn flush(&mut self, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        if self.is_engine_busy || self.calls.is_reopen_due() {
            return Ok(());
        }
        // A vBucket that the engine has not created cannot be flushed, and nothing may be added to
        // one in a rollback.
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
        invariant!(
            self.is_engine_busy && !self.calls.has_running(),
            "N1",
            "a flush that was answered was in progress"
        );
        self.is_engine_busy = false;
        let mut failure = None;
        let mut prepared = Vec::new();
        for Flushed { vb, result, .. } in self.flusher.finish(group) {
            match result {
                Ok(persisted) => {
                    let state = self.flusher.persisted_state(vb);
                    let whole =
                        state.map_or(persisted.seqno, |state| whole_seqno(state, persisted.seqno));
                    // A replica's store learns of its active's purges from its stream.
                    let purged = state.map_or(Seqno::ZERO, |state| state.purge_seqno);
                    self.purged(vb, purged);
                    prepared.push((vb, persisted.prepared));
                    actions.push(Action::Persisted {
                        vb,
                        seqno: persisted.seqno,
                        whole,
                        items: persisted.items,
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
            let pause_micros = self.pause_micros();
            let event = Box::new(Event::FlushDue);
            actions.push(Action::Later {
                pause_micros,
                event,
            });
        }
    }

    /// Queues an engine call and starts it if the engine is free.
    pub(in crate::node) fn call(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.push(call);
        self.proceed(actions);
    }

    /// Starts the next operation if the engine is free.
    pub(in crate::node) fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.is_engine_busy {
            return;
        }
        if !self.begin_call(actions) && self.is_flush_due() {
            actions.push(Action::WakeFlusher);
        }
    }

    /// Starts the next engine call. Returns `false` if none may run. The engine is free.
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

    /// Returns `true` if there are items that can be persisted now.
    pub(in crate::node) fn is_flush_due(&self) -> bool {
        !self.calls.is_reopen_due() && self.dirty.iter().any(|&vb| self.can_be_flushed(vb))
    }

    fn can_be_flushed(&self, vb: Vbid) -> bool {
        !self.calls.is_unsettled(vb) || fault::is(Fault::ReopenedIsTakenAtItsWord)
    }

    /// Handles a failed call: it is retried after a pause, on a poisoned store after reopening.
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
            let pause_micros = self.pause_micros();
            let event = Box::new(Event::Retry(call));
            actions.push(Action::Later {
                pause_micros,
                event,
            });
        }
        self.proceed(actions);
    }

    /// Retries a failed call after its pause.
    pub(in crate::node) fn retry(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.resume(call);
        self.proceed(actions);
    }

    fn pause_micros(&mut self) -> u64 {
        let pause = PAUSE_MICROS << self.failures.min(DOUBLINGS_MAX);
        // Only the first failures make a difference.
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Continues with a reopened store. It may have more than was acknowledged, and never less.
    pub(in crate::node) fn reopened(&mut self, attached: Vec<Attached>) {
        for Attached { vb, state, high } in attached {
            // The store's content of a vBucket with pending calls will change with them.
            let is_settled =
                !self.calls.is_unsettled(vb) || fault::is(Fault::ReopenedIsTakenAtItsWord);
            let settled = self.partitions.get(vb).filter(|_| is_settled);
            let Some(partition) = settled else { continue };
            // Without a commit the vBucket is as it was created.
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

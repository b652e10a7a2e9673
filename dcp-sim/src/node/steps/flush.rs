//! Flushes and engine calls of a node: one operation at a time (N1), retried after a failure (N2).

use lowtide_checkpoint::internal::invariant;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{CommittedGroup, EngineError, FlushNext, Flushed, whole_seqno};

use crate::fault::{self, Fault};
use crate::node::engine::{Attached, EngineCall};
use crate::node::error::NodeError;
use crate::node::event::{Action, Event};
use crate::node::state::Node;

impl Node {
    pub(in crate::node) fn flush(&mut self, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        if self.is_engine_busy {
            return Ok(());
        }
        let partitions = &self.partitions;
        let vbucket = |vb| partitions.get(vb).map(|partition| &partition.vbucket);
        if let Some(group) = self.shard.begin(vbucket)? {
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
        let outcome = self.shard.finish(group)?;
        for Flushed { vb, result, .. } in outcome.flushed {
            match result {
                Ok(persisted) => {
                    let state = self.shard.persisted_state(vb);
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
                    self.expel(vb);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            actions.push(Action::EngineFailed {
                what: "flush",
                error,
            });
        }
        match outcome.next {
            FlushNext::After { pause_micros } => {
                if !self.begin_call(actions) {
                    let event = Box::new(Event::FlushDue);
                    actions.push(Action::Later {
                        pause_micros,
                        event,
                    });
                }
            }
            FlushNext::Reopen => {
                self.calls.reopen();
                self.proceed(actions);
            }
            _ => self.proceed(actions),
        }
        prepared
            .into_iter()
            .try_for_each(|(vb, seqno)| self.prepared(vb, seqno, actions))
    }

    /// Queues an engine call and starts it if the engine is free.
    pub(in crate::node) fn call(&mut self, call: EngineCall, actions: &mut Vec<Action>) {
        self.calls.push(call);
        if let Some(vb) = call.vbucket() {
            self.hold_if_unsettled(vb);
        }
        self.proceed(actions);
    }

    /// Holds back the flushes of a vBucket that the engine has not created, or in a rollback, to
    /// which nothing may be added (N8).
    pub(in crate::node) fn hold_if_unsettled(&mut self, vb: Vbid) {
        if self.calls.is_unsettled(vb) && !fault::is(Fault::ReopenedIsTakenAtItsWord) {
            self.shard.hold(vb);
        } else {
            // A shard that became due is woken when the engine is free.
            let _became_due = self.shard.release(vb);
        }
    }

    /// Starts the next operation if the engine is free.
    pub(in crate::node) fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.is_engine_busy {
            return;
        }
        if !self.begin_call(actions) && self.shard.is_due() {
            actions.push(Action::WakeFlusher);
        }
    }

    /// Starts the next engine call. Returns `false` if none may run. The engine is free.
    fn begin_call(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(call) = self.calls.begin() else {
            return false;
        };
        if call == EngineCall::Reopen {
            self.shard.views().forget_all();
        }
        self.is_engine_busy = true;
        actions.push(Action::Call(call));
        true
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
            self.shard.await_reopening();
        } else {
            self.calls.pause(call);
            let pause_micros = self.backoff.failed();
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

    /// Continues with a reopened store. The content of a vBucket with pending calls will change with
    /// them.
    pub(in crate::node) fn reopened(&mut self, attached: Vec<Attached>) {
        for Attached { vb, state, high } in attached {
            self.shard.attach_again(vb, state, high);
        }
        // It is woken when the engine is free.
        let _became_due = self.shard.reopened();
    }

    pub(in crate::node) fn expel(&self, vb: Vbid) {
        if let Some(partition) = self.partitions.get(vb) {
            partition.vbucket.manager().expel();
        }
    }
}

//! Machines: engine calls with their durations, and stops and starts of nodes.
//!
//! An engine is called at once; its answer arrives when the disk would be done. Operations that a node
//! has in progress at once delay one another as little as those of an NVMe device do: each takes its
//! own time. If the power fails
//! during a call, the machine goes down and the answer is lost.

use lowtide_checkpoint::{AfterStop, State, Vbid};
use lowtide_persistence::disk::PowerLoss;
use lowtide_persistence::{BackfillStep, EngineAnswer, EngineCall, EngineError, FlushGroup};

use crate::node::{CallDone, Event, NodeId, PendingWrite, Stored, run_call_with};
use crate::sim::error::SimError;
use crate::sim::oracle::Digests;
use crate::sim::world::due::Due;
use crate::sim::world::host::{Host, Loss, is_internal, unless_internal};
use crate::sim::world::state::World;

/// Retry interval of opening a store.
const REOPEN_MICROS: u64 = 10_000;

impl World {
    pub(in crate::sim::world) fn commit(
        &mut self,
        node: NodeId,
        shard: usize,
        group: FlushGroup,
    ) -> Result<(), SimError> {
        let true_nanos = self.clock.now_nanos();
        let host = self.hosts.at_mut(node)?;
        host.figures.flushes += 1;
        let now_nanos = host.time(true_nanos);
        let (committed, micros) = host.timed(|host| {
            host.engine
                .as_ref()
                .map(|engine| group.commit(engine.as_ref(), now_nanos))
        });
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        if let Some(committed) = committed {
            if let Some(timeline) = &mut self.timeline {
                timeline.flushed(node, committed.items() as u64, micros);
            }
            let group = committed;
            self.schedule(node, micros, Event::FlushDone { shard, group })?;
        }
        if self.chaos.is_some() {
            self.maintain(node)?;
        }
        Ok(())
    }

    /// Performs a step of a backfill, like a commit. A node that is down answers nothing.
    pub(in crate::sim::world) fn backfill(
        &mut self,
        node: NodeId,
        (peer, connection): (NodeId, u64),
        step: BackfillStep,
    ) -> Result<(), SimError> {
        let host = self.hosts.at_mut(node)?;
        let (outcome, micros) =
            host.timed(|host| host.engine.as_ref().map(|engine| step.run(engine.as_ref())));
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        if let Some(outcome) = outcome {
            self.schedule(
                node,
                micros,
                Event::Backfilled {
                    peer,
                    connection,
                    outcome,
                },
            )?;
        }
        Ok(())
    }

    /// Reads a store for a write. The answers come in the order of the reads, as those of a
    /// connection do.
    pub(in crate::sim::world) fn fetch(
        &mut self,
        node: NodeId,
        write: PendingWrite,
    ) -> Result<(), SimError> {
        let now_micros = self.clock.now_micros();
        let host = self.hosts.at_mut(node)?;
        let (stored, micros) = host.timed(|host| {
            let engine = host.engine.as_ref();
            engine.map(|engine| write.read(engine.as_ref()))
        });
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        let Some(stored) = stored else {
            return Ok(());
        };
        host.fetches_end_micros = host.fetches_end_micros.max(now_micros + micros);
        let delay = host.fetches_end_micros - now_micros;
        self.schedule(node, delay, Event::Fetched { write, stored })
    }

    pub(in crate::sim::world) fn call(
        &mut self,
        node: NodeId,
        call: EngineCall,
    ) -> Result<(), SimError> {
        self.call_begins(node, call);
        let host = self.hosts.at_mut(node)?;
        let (done, micros) = host.timed(|host| host.carry_out(call));
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        let done = done.map_err(|source| SimError::Engine { node, source })?;
        let Some(done) = done else {
            // A process that cannot open its store ends and restarts.
            return self.crash(node, Loss::Process);
        };
        let (done, documents) = done;
        if let Ok(EngineAnswer::RolledBack(stored)) = &done.result {
            self.call_discarded(node, call, stored.high, documents);
        }
        self.schedule(node, micros, Event::EngineDone(done))
    }

    pub(in crate::sim::world) fn engine_failed(
        &mut self,
        node: NodeId,
        error: EngineError,
    ) -> Result<(), SimError> {
        match &mut self.chaos {
            Some(chaos) if !is_internal(&error) => {
                chaos.figures.engine_failures += 1;
                Ok(())
            }
            _ => Err(SimError::Engine {
                node,
                source: error,
            }),
        }
    }

    /// Takes machines down that lost power during an operation without an answer, like the start or
    /// cancellation of a compaction.
    pub(in crate::sim::world) fn notice_lost_power(&mut self) -> Result<(), SimError> {
        if self.chaos.is_none() {
            return Ok(());
        }
        let is_off = |host: &Host| host.is_up && host.has_lost_power();
        let off: Vec<_> = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| is_off(host))
            .map(|(node, _)| node)
            .collect();
        off.into_iter().try_for_each(|node| self.lose_power(node))
    }

    /// Takes a machine down by a power loss.
    pub(in crate::sim::world) fn lose_power(&mut self, node: NodeId) -> Result<(), SimError> {
        let loss = self.loss_of_power();
        self.crash(node, loss)
    }

    fn loss_of_power(&mut self) -> Loss {
        Loss::Power(match &mut self.chaos {
            Some(chaos) => PowerLoss::Random {
                seed: chaos.rng.range(0, u64::MAX - 1),
            },
            None => PowerLoss::DropUnsynced,
        })
    }

    /// Takes a node down. It restarts later.
    pub(in crate::sim::world) fn crash(
        &mut self,
        node: NodeId,
        loss: Loss,
    ) -> Result<(), SimError> {
        self.lose_all(node)?;
        let config = self.config.node.clone();
        let host = self.hosts.at_mut(node)?;
        if !host.is_up {
            return Ok(());
        }
        host.crash(loss, &config)
            .map_err(|error| SimError::Config(error.to_string()))?;
        self.note_end("compacting", node);
        self.note_begin("down", node);
        if let Some(chaos) = &mut self.chaos {
            chaos.copies.lost(node);
            let delay = chaos.restart_micros();
            self.clock.schedule(delay, Due::Start(node));
        }
        Ok(())
    }

    /// Starts a node that is down, with the contents of its store, in its current roles.
    pub(in crate::sim::world) fn start(&mut self, node: NodeId) -> Result<(), SimError> {
        let host = self.hosts.at_mut(node)?;
        if host.is_up {
            return Ok(());
        }
        let (found, _micros) = host.timed(Host::read_store);
        if host.has_lost_power() {
            // Data written by opening is as unsafe as any other.
            let loss = self.loss_of_power();
            self.hosts
                .at_mut(node)?
                .crash(loss, &self.config.node)
                .map_err(|error| SimError::Config(error.to_string()))?;
            self.clock.schedule(REOPEN_MICROS, Due::Start(node));
            return Ok(());
        }
        let found = unless_internal(found).map_err(|source| SimError::Engine { node, source })?;
        let Some(found) = found else {
            // The disk fails: the next attempt may succeed. W14 reports a store that never opens.
            host.engine = None;
            self.clock.schedule(REOPEN_MICROS, Due::Start(node));
            return Ok(());
        };
        host.is_up = true;
        host.clock_offset_nanos = self.clocks.offset_nanos();
        host.node.observe();
        let in_order = std::mem::take(&mut host.was_stopped_in_order);
        self.note_end("down", node);
        if let Some(chaos) = &mut self.chaos {
            chaos
                .persisted
                .found(node, |vb| found.iter().any(|&(of, ..)| of == vb));
        }
        for (vb, stored, documents) in found {
            self.started(node, vb, &stored, documents);
            self.take_on(node, vb, stored, in_order)?;
        }
        self.reconcile_soon();
        Ok(())
    }

    fn take_on(
        &mut self,
        node: NodeId,
        vb: Vbid,
        stored: Stored,
        in_order: bool,
    ) -> Result<(), SimError> {
        // A vBucket without a role is dropped by the manager later.
        let role = self.topology.role(vb, node).unwrap_or(State::Replica);
        let before = stored
            .state
            .as_ref()
            .map(|state| state.failover_log.newest().uuid);
        let keeps_branch = in_order
            && stored
                .state
                .as_ref()
                .is_some_and(|state| state.state == role);
        let after = match &mut self.chaos {
            Some(chaos) if !keeps_branch => AfterStop::Unclean { uuid: chaos.uuid() },
            _ => AfterStop::Orderly,
        };
        let micros = self.clock.now_micros();
        let host = self.hosts.at_mut(node)?;
        let mut actions = Vec::new();
        let taken = host.node.warm_up(vb, stored, role, after, &mut actions);
        taken.map_err(|source| SimError::Node {
            node,
            micros,
            source,
        })?;
        if role == State::Active && after != AfterStop::Orderly {
            self.branched(node, vb, before)?;
        }
        self.after(node, actions)
    }
}

impl Host {
    /// Performs an engine call; `None` if the store cannot be opened, or the node is down. Returns
    /// the documents of a vBucket that went back, too.
    ///
    /// # Errors
    /// [`EngineError::Internal`] of opening.
    fn carry_out(&mut self, call: EngineCall) -> Result<Option<(CallDone, Digests)>, EngineError> {
        if call == EngineCall::Reopen {
            self.job = None;
            if let Some(engine) = self.engine.take() {
                // Another error of closing is irrelevant: the content of the disk counts, and
                // opening validates it.
                let _closed = unless_internal(engine.close())?;
            }
            self.engine = unless_internal(self.storage.open())?;
        }
        let engine = self.engine.as_ref();
        Ok(engine.map(|engine| {
            let mut documents = Digests::default();
            let done = run_call_with(call, engine.as_ref(), &mut |item| {
                documents.apply(item);
            });
            (done, documents)
        }))
    }

    fn read_store(&mut self) -> Result<Vec<(Vbid, Stored, Digests)>, EngineError> {
        let engine = self.engine.insert(self.storage.open()?);
        let read = |vb| {
            let mut documents = Digests::default();
            let stored = Stored::read_with(engine.as_ref(), vb, &mut |item| {
                documents.apply(item);
            })?;
            Ok((vb, stored, documents))
        };
        engine.vbuckets().into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Distribution, GeneratedSource};
    use crate::sim::config::{ClusterConfig, FaultConfig};
    use crate::sim::hardware::Storage;

    /// Guards W21 in release builds: a bug of an engine was counted as one more failed flush.
    #[test]
    fn engine_with_an_internal_error_ends_a_run_with_faults() {
        let cluster = ClusterConfig::default().with_faults(FaultConfig::default());
        let source = GeneratedSource::new(Distribution::Uniform, 1, 1, 1, 1).expect("valid");
        let mut world = World::new(cluster, &Storage::Memory, Box::new(source)).expect("a cluster");
        let poisoned = EngineError::Poisoned {
            path: "/node-0".into(),
        };
        assert!(world.engine_failed(0, poisoned).is_ok());
        let internal = EngineError::Internal {
            path: "/node-0".into(),
            invariant: "E1",
            what: "it holds",
        };
        assert!(matches!(
            world.engine_failed(0, internal),
            Err(SimError::Engine { node: 0, .. })
        ));
    }
}

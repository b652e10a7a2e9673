//! Machines: engine calls with their durations, and stops and starts of nodes.
//!
//! An engine is called at once; its answer arrives when the disk would be done. If the power fails
//! during a call, the machine goes down and the answer is lost.

use lowtide_checkpoint::{AfterStop, Seqno, State, Vbid};
use lowtide_persistence::disk::PowerLoss;
use lowtide_persistence::{BackfillStep, CompactionRequest, EngineError, FlushGroup, JobProgress};

use crate::node::{EngineAnswer, EngineCall, EngineDone, Event, NodeId, Stored};
use crate::sim::error::SimError;
use crate::sim::world::due::Due;
use crate::sim::world::host::{Host, Loss};
use crate::sim::world::state::World;

/// Pause between two steps of a compaction, in which the disk serves others.
const COMPACTION_PAUSE_MICROS: u64 = 500;
/// Retry interval of opening a store.
const REOPEN_MICROS: u64 = 10_000;

impl World {
    pub(in crate::sim::world) fn commit(
        &mut self,
        node: NodeId,
        group: FlushGroup,
    ) -> Result<(), SimError> {
        let now = self.clock.now_nanos();
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
        host.figures.flushes += 1;
        let now = host.time(now);
        let (committed, micros) = host.timed(|host| {
            host.engine
                .as_ref()
                .map(|engine| group.commit(engine.as_ref(), now))
        });
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        if let Some(committed) = committed {
            if let Some(timeline) = &mut self.timeline {
                timeline.flushed(node, committed.items() as u64, micros);
            }
            self.schedule(node, micros, Event::FlushDone(committed));
        }
        if self.chaos.is_some() {
            self.maintain(node);
        }
        Ok(())
    }

    /// Performs a step of a backfill, like a commit. A store that is being reopened answers
    /// nothing.
    pub(in crate::sim::world) fn backfill(
        &mut self,
        node: NodeId,
        (peer, connection): (NodeId, u64),
        step: BackfillStep,
    ) -> Result<(), SimError> {
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
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
            );
        }
        Ok(())
    }

    pub(in crate::sim::world) fn call(
        &mut self,
        node: NodeId,
        call: EngineCall,
    ) -> Result<(), SimError> {
        self.call_begins(node, call);
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
        let (done, micros) = host.timed(|host| host.carry_out(call));
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        let Some(done) = done else {
            // A process that cannot open its store ends and restarts.
            return self.crash(node, Loss::Process);
        };
        if let Ok(EngineAnswer::RolledBack(stored)) = &done.result {
            self.call_discarded(node, call, stored.high);
        }
        self.schedule(node, micros, Event::EngineDone(done));
        Ok(())
    }

    pub(in crate::sim::world) fn engine_failed(
        &mut self,
        node: NodeId,
        error: EngineError,
    ) -> Result<(), SimError> {
        match &mut self.chaos {
            Some(chaos) => {
                chaos.figures.engine_failures += 1;
                Ok(())
            }
            None => Err(SimError::Engine {
                node,
                source: error,
            }),
        }
    }

    /// Starts the compaction of a vBucket, unless one is in progress.
    pub(in crate::sim::world) fn compact(
        &mut self,
        node: NodeId,
        vb: Vbid,
        purge_upto: Option<Seqno>,
    ) {
        let Some(host) = self
            .hosts
            .get_mut(node)
            .filter(|host| host.is_up && host.job.is_none())
        else {
            return;
        };
        let mut request = CompactionRequest::new();
        request.purge_upto = purge_upto;
        let job = host
            .engine
            .as_ref()
            .and_then(|engine| engine.compact(vb, request).ok());
        if job.is_some() {
            host.job = job;
            self.clock.schedule(0, Due::Compact(node, host.incarnation));
            self.note_begin("compacting", node);
        }
    }

    /// Starts the maintenance that an engine requests, if no job is in progress.
    fn maintain(&mut self, node: NodeId) {
        let every = self.config.store.upkeep_flushes.max(1);
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.job.is_none()) else {
            return;
        };
        if !host.figures.flushes.is_multiple_of(every) {
            return;
        }
        host.job = host.engine.as_ref().and_then(|engine| engine.maintenance());
        if host.job.is_some() {
            self.clock.schedule(0, Due::Compact(node, host.incarnation));
            self.note_begin("compacting", node);
        }
    }

    pub(in crate::sim::world) fn compact_on(&mut self, node: NodeId) -> Result<(), SimError> {
        let budget = self.config.store.upkeep_step;
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
        let (stepped, micros) = host.timed(|host| host.job.as_mut().map(|job| job.step(budget)));
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        match stepped {
            // The compaction is done, or failed and left the vBucket its old file.
            Some(Ok(JobProgress::Done(_)) | Err(_)) => return self.compacted(node),
            Some(Ok(_)) => {
                let delay = micros + COMPACTION_PAUSE_MICROS;
                self.clock
                    .schedule(delay, Due::Compact(node, host.incarnation));
            }
            None => {}
        }
        Ok(())
    }

    /// Reports the purged seqnos to the node at once, since the next stream may depend on them.
    fn compacted(&mut self, node: NodeId) -> Result<(), SimError> {
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
        host.job = None;
        self.note_end("compacting", node);
        let Some(engine) = self.hosts.get(node).and_then(|host| host.engine.as_ref()) else {
            return Ok(());
        };
        // The engine's own maintenance does not name its vBucket.
        let infos = engine
            .vbuckets()
            .into_iter()
            .filter_map(|vb| Some((vb, engine.info(vb).ok()?.purge)));
        for (vb, seqno) in infos.collect::<Vec<_>>() {
            self.step(node, Event::Purged { vb, seqno })?;
        }
        Ok(())
    }

    /// Takes machines down that lost power during an operation without an answer, like the start or
    /// cancellation of a compaction.
    pub(in crate::sim::world) fn notice_lost_power(&mut self) -> Result<(), SimError> {
        if self.chaos.is_none() {
            return Ok(());
        }
        let is_off = |host: &Host| host.is_up && host.has_lost_power();
        let off: Vec<_> = self
            .topology
            .nodes()
            .filter(|&node| self.hosts.get(node).is_some_and(is_off))
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
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.is_up) else {
            return Ok(());
        };
        host.crash(loss, &config)
            .map_err(|error| SimError::Config(error.to_string()))?;
        self.note_end("compacting", node);
        self.note_begin("down", node);
        if let Some(chaos) = &mut self.chaos {
            let delay = chaos.restart_micros();
            self.clock.schedule(delay, Due::Start(node));
        }
        Ok(())
    }

    /// Starts a node that is down, with the contents of its store, in its current roles.
    pub(in crate::sim::world) fn start(&mut self, node: NodeId) -> Result<(), SimError> {
        let Some(host) = self.hosts.get_mut(node).filter(|host| !host.is_up) else {
            return Ok(());
        };
        let (found, _micros) = host.timed(Host::read_store);
        if host.has_lost_power() {
            // Data written by opening is as unsafe as any other.
            let loss = self.loss_of_power();
            if let Some(host) = self.hosts.get_mut(node) {
                host.crash(loss, &self.config.node)
                    .map_err(|error| SimError::Config(error.to_string()))?;
            }
            self.clock.schedule(REOPEN_MICROS, Due::Start(node));
            return Ok(());
        }
        let Ok(found) = found else {
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
                .found(node, |vb| found.iter().any(|&(of, _)| of == vb));
        }
        for (vb, stored) in found {
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
        self.started(node, vb, &stored);
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
        let Some(host) = self.hosts.get_mut(node) else {
            return Ok(());
        };
        let mut actions = Vec::new();
        let taken = host.node.warm_up(vb, stored, role, after, &mut actions);
        taken.map_err(|source| SimError::Node {
            node,
            micros,
            source,
        })?;
        if role == State::Active && after != AfterStop::Orderly {
            self.branched(node, vb, before);
        }
        self.after(node, actions)
    }
}

impl Host {
    /// Performs an engine call; `None` if the store cannot be opened.
    fn carry_out(&mut self, call: EngineCall) -> Option<EngineDone> {
        if call == EngineCall::Reopen {
            self.job = None;
            // An error of closing is irrelevant: the content of the disk counts, and opening
            // validates it.
            let _ = self.engine.take().map(|engine| engine.close());
            self.engine = self.storage.open().ok();
        }
        self.engine.as_ref().map(|engine| call.run(engine.as_ref()))
    }

    fn read_store(&mut self) -> Result<Vec<(Vbid, Stored)>, EngineError> {
        let engine = self.engine.insert(self.storage.open()?);
        engine
            .vbuckets()
            .into_iter()
            .map(|vb| Ok((vb, Stored::read(engine.as_ref(), vb)?)))
            .collect()
    }
}

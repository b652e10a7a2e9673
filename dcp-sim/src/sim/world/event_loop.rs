//! The event loop: it processes the events of a run in order, and schedules their consequences.

use bytes::Bytes;
use lowtide_checkpoint::{Seqno, Vbid};

use super::chaos;
use super::due::Due;
use super::guests::ForeignClients;
use super::state::World;
use super::view::{Observer, RunProgress};
use crate::node::{Action, Event, NodeId};
use crate::sim::error::SimError;
use crate::sim::record::TraceEvent;

/// Time during which writes gather for one flush or send.
const GATHER_MICROS: u64 = 50;

impl World {
    /// Runs until the source is exhausted and no event is left.
    pub(in crate::sim) fn run_events(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<(), SimError> {
        // The client starts after the streams: otherwise an active might expel items before its
        // replica requests them, and they would come from disk.
        self.run_due(observer)?;
        let connected_micros = self.clock.now_micros();
        self.clock.schedule(0, Due::Client);
        self.begin_faults()?;
        self.run_due(observer)?;
        self.figures.virtual_micros = self.clock.now_micros() - connected_micros;
        self.figures.network_bytes = self.network.bytes;
        self.figures.network_messages = self.network.messages;
        let progress = self.progress()?;
        observer.progress(&RunProgress {
            is_settling: true,
            ..progress
        });
        Ok(())
    }

    fn run_due(&mut self, observer: &mut dyn Observer) -> Result<(), SimError> {
        while self.stop_at != Some(self.figures.events)
            && let Some(due) = self.clock.advance()
        {
            self.figures.events += 1;
            // The client writes no more: the end of its last pause is no work that is left.
            if self.is_out_of_time() && !matches!(due, Due::Client) {
                chaos::required(&mut self.chaos)?.is_late = true;
                break;
            }
            self.process(due, observer)?;
            self.notice_lost_power()?;
            self.record()?;
        }
        Ok(())
    }

    fn process(&mut self, due: Due, observer: &mut dyn Observer) -> Result<(), SimError> {
        match due {
            Due::Client => self.client(observer),
            Due::Node(node, incarnation, event) if self.is_incarnation(node, incarnation)? => {
                match *event {
                    Event::Fetched { ref write, .. } => {
                        let (vb, bytes) = (write.vbucket(), write.bytes());
                        self.step_with_write(node, vb, bytes, *event)
                    }
                    event => self.step(node, event),
                }
            }
            Due::Compact(node, incarnation) if self.is_incarnation(node, incarnation)? => {
                self.compact_on(node)
            }
            Due::Node(..) | Due::Compact(..) => Ok(()),
            Due::Arrive { link, to_consumer } => self.arrive(link, to_consumer),
            Due::Notice { link, consumer } => self.notice(link, consumer),
            Due::Answer(node, incarnation, writes) => self.answer(node, incarnation, writes),
            Due::Reconcile => self.reconcile(),
            Due::Strike(kind) => self.strike(kind),
            Due::Undo(undo) => self.undo(undo),
            Due::Start(node) => self.start(node),
            Due::Move(step) => self.advance_move(step),
            Due::Read => self.read_a_replica(),
            Due::Tick => self.tick(),
            Due::Foreign(turn) => self.foreign(turn),
            Due::EndOfFaults => self.end_faults(),
        }
    }

    /// Schedules an event of a node. It is dropped if the node goes down before.
    pub(super) fn schedule(
        &mut self,
        node: NodeId,
        delay_micros: u64,
        event: Event,
    ) -> Result<(), SimError> {
        let incarnation = self.hosts.at(node)?.incarnation;
        let due = Due::Node(node, incarnation, Box::new(event));
        self.clock.schedule(delay_micros, due);
        Ok(())
    }

    /// Steps a node. A node that is down loses the event.
    pub(super) fn step(&mut self, node: NodeId, event: Event) -> Result<(), SimError> {
        let true_nanos = self.clock.now_nanos();
        let host = self.hosts.at_mut(node)?;
        if !host.is_up {
            return Ok(());
        }
        let stepped = host.node.step(event, host.time(true_nanos));
        let micros = self.clock.now_micros();
        let actions = stepped.map_err(|source| SimError::Node {
            node,
            micros,
            source,
        })?;
        self.watch(node)?;
        self.carry_out(node, actions)
    }

    /// Carries out a node's actions. If it goes down with one of them, the later ones are lost.
    pub(super) fn carry_out(&mut self, node: NodeId, actions: Vec<Action>) -> Result<(), SimError> {
        let incarnation = self.hosts.at(node)?.incarnation;
        for action in actions {
            if self.hosts.at(node)?.incarnation != incarnation {
                return Ok(());
            }
            match action {
                Action::ToProducer(peer, bytes) => self.transmit((peer, node), false, bytes)?,
                Action::ToConsumer(peer, bytes) => self.transmit((node, peer), true, bytes)?,
                Action::Commit { shard, group } => self.commit(node, shard, group)?,
                Action::Backfill {
                    peer,
                    connection,
                    step,
                } => {
                    self.backfill(node, (peer, connection), step)?;
                }
                Action::Call(call) => self.call(node, call)?,
                Action::Fetch(write) => self.fetch(node, write)?,
                Action::WakeFlusher { shard } => {
                    self.schedule(node, GATHER_MICROS, Event::FlushDue { shard })?;
                }
                Action::WakeSender(peer) => {
                    self.schedule(node, GATHER_MICROS, Event::SendDue { peer })?;
                }
                Action::Later {
                    pause_micros,
                    event,
                } => self.schedule(node, pause_micros, *event)?,
                Action::Written { vb, .. } => {
                    self.figures.mutations += 1;
                    if self.chaos.is_none() {
                        self.written.push(vb);
                    }
                }
                // No simulated client waits for a durable write.
                Action::Prepared { .. } => {}
                Action::StateSet { vb, state } => self.state_set(node, vb, state),
                Action::Persisted {
                    vb,
                    seqno,
                    whole,
                    items,
                } => {
                    self.persisted(node, vb, (seqno, whole), items)?;
                }
                Action::EngineFailed { error, .. } => self.engine_failed(node, error)?,
                // Streams that were impossible meanwhile are possible now.
                Action::Settled { .. } => self.reconcile_soon(),
                Action::RolledBack { vb, .. } => self.rolled_back(node, vb)?,
                Action::StreamStopped { peer, event } => self.stream_stopped(node, peer, event)?,
            }
        }
        Ok(())
    }

    /// Sends bytes. Those for a connection that is lost or replaced are lost, too.
    fn transmit(
        &mut self,
        ends: (NodeId, NodeId),
        to_consumer: bool,
        bytes: Bytes,
    ) -> Result<(), SimError> {
        if ForeignClients::number(ends.1).is_some() {
            return self.send_foreign(ends, to_consumer, bytes);
        }
        let Some(link) = self.links.current(ends) else {
            return Ok(());
        };
        let size = bytes.len();
        if !self.links.send(link, to_consumer, bytes) {
            return Ok(());
        }
        let direction = if to_consumer { ends } else { (ends.1, ends.0) };
        let delay = self
            .network
            .delay(direction, size, self.clock.now_micros(), &mut self.rng);
        self.clock
            .schedule(delay, Due::Arrive { link, to_consumer });
        Ok(())
    }

    fn persisted(
        &mut self,
        node: NodeId,
        vb: Vbid,
        (seqno, whole): (Seqno, Seqno),
        items: usize,
    ) -> Result<(), SimError> {
        let host = self.hosts.at_mut(node)?;
        host.figures.persisted += items as u64;
        let high = host
            .node
            .partition(vb)
            .map(|partition| partition.vbucket.high_seqno());
        self.order.observe(node, vb, seqno, high, items);
        self.acknowledged(node, vb, (seqno, whole))?;
        let micros = self.clock.now_micros();
        self.trace.write(&TraceEvent::Persisted {
            micros,
            node,
            vb: vb.0,
            seqno: seqno.0,
            items,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Distribution, GeneratedSource};
    use crate::sim::config::{ClusterConfig, FaultConfig};
    use crate::sim::hardware::Storage;
    use crate::sim::world::phases::SETTLE_MICROS;
    use crate::sim::world::view::Silent;

    /// Returns the violations of W14 if that event is the last one, and comes too late.
    fn violations(last: Due) -> Option<u64> {
        let cluster = ClusterConfig::default().with_faults(FaultConfig::default());
        let source = GeneratedSource::new(Distribution::Uniform, 1, 1, 1, 1).expect("valid");
        let mut world = World::new(cluster, &Storage::Memory, Box::new(source)).expect("a cluster");
        world.chaos.as_mut().expect("faults").liveness_micros = Some(0);
        world.clock.schedule(SETTLE_MICROS + 1, last);
        world.run_due(&mut Silent).expect("it ends");
        world.settling().map(|verdict| verdict.violations)
    }

    /// Guards against a queue that is empty because its last event was dropped as too late.
    #[test]
    fn last_event_that_is_too_late_is_a_violation() {
        assert_eq!(violations(Due::Tick), Some(1));
        assert_eq!(violations(Due::Client), Some(0), "its pause delays nothing");
    }
}

//! The world of one run: nodes, their stores, the network and the client, driven event by event.
//!
//! What always holds: an event is carried out whole before the next; whatever an event causes is scheduled at or after
//! it; when no event is left, nothing will ever happen again, and the cluster is judged.

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Seqno, VBucketState, VbUuid, Vbid};
use lowtide_persistence::Capabilities;

use super::chaos::Chaos;
use super::client::{Observer, Progress};
use super::cluster::rebalance;
use super::fault_injection::Undo;
use super::foreign::ForeignClients;
use super::host::Host;
use super::{chaos, foreign};
use crate::input::Source;
use crate::node::{Action, Event, Node, NodeConfig, NodeId};
use crate::sim::config::{ClusterConfig, Topology};
use crate::sim::error::SimError;
use crate::sim::hardware::{Clock, LinkId, Links, Network, NodeStorage, SkewedClocks, Storage};
use crate::sim::judge::{PersistenceOrder, managers};
use crate::sim::oracle::Oracle;
use crate::sim::record::{Figures, Timeline, Trace, TraceEvent, Verdict};
use crate::sim::rng::SimRng;

/// Writes that come within this time are flushed, or sent, together.
const GATHER_MICROS: u64 = 50;

/// Something due at an instant.
#[derive(Debug)]
pub(in crate::sim) enum Due {
    /// The client writes its next batch.
    Client,
    /// Something happens to a node, if it is still of that incarnation.
    Node(NodeId, u32, Box<Event>),
    /// Bytes arrive at an end of a connection.
    Arrive { link: LinkId, to_consumer: bool },
    /// An end of a connection learns that it is lost.
    Notice { link: LinkId, consumer: bool },
    /// The client gets an answer from a node, if that is still of the incarnation it asked.
    Answer(NodeId, u32, u64),
    /// The cluster's manager looks whether everything is as it should be.
    Reconcile,
    /// A fault strikes.
    Strike(crate::sim::config::FaultKind),
    /// A fault ends.
    Undo(Undo),
    /// A node that is down starts.
    Start(NodeId),
    /// A node's compaction goes on, if it is still of that incarnation.
    Compact(NodeId, u32),
    /// A vBucket that is being moved is looked at.
    Move(rebalance::Move),
    /// A client reads on a replica.
    Read,
    /// Nodes are told how late it is.
    Tick,
    /// Something happens to a foreign client.
    Foreign(foreign::Turn),
    /// From here on nothing goes wrong any more.
    Calm,
}

/// A cluster and its client.
pub struct World {
    pub(in crate::sim) config: ClusterConfig,
    pub(in crate::sim) topology: Topology,
    pub(in crate::sim) hosts: Vec<Host>,
    pub(in crate::sim) source: Box<dyn Source>,
    pub(in crate::sim) oracle: Oracle,
    pub(in crate::sim) figures: Figures,
    pub(in crate::sim) order: PersistenceOrder,
    pub(in crate::sim) managers: Verdict,
    /// `None` where nothing is to go wrong.
    pub(in crate::sim) chaos: Option<Chaos>,
    /// How far behind replicas were when last looked at.
    pub(super) lag_seqnos: u64,
    /// What was written since then.
    pub(super) written: Vec<Vbid>,
    /// The event after which nothing happens any more, where somebody wants to look.
    pub(super) stop_at: Option<u64>,
    pub(in crate::sim) links: Links,
    pub(in crate::sim) foreign: ForeignClients,
    pub(in crate::sim) clock: Clock<Due>,
    rng: SimRng,
    /// Draws how wrong the clock of a node that starts is.
    pub(super) clocks: SkewedClocks,
    pub(super) network: Network,
    pub(super) trace: Trace,
    /// While one is wanted.
    pub(in crate::sim) timeline: Option<Timeline>,
}

impl World {
    /// Sets up the cluster: empty vBuckets on every node, and a stream for each replica.
    ///
    /// # Errors
    /// For a cluster that can't be, or storage that fails.
    pub fn new(
        mut config: ClusterConfig,
        storage: &Storage,
        source: Box<dyn Source>,
    ) -> Result<Self, SimError> {
        let topology = config.topology()?;
        if config.faults.is_some() && *storage != Storage::Memory {
            return Err(SimError::Config(
                "faults need disks in memory: they lose what real ones keep".into(),
            ));
        }
        if config.faults.is_some() {
            chaos::limit_standstill(&mut config.node.producer);
        }
        let mut rng = SimRng::new(config.seed);
        let uuids: Vec<_> = topology.vbuckets().map(|_| VbUuid(rng.uuid())).collect();
        let mut hosts = Vec::new();
        for (number, storage) in storage
            .nodes(config.nodes, config.engine, config.store)?
            .into_iter()
            .enumerate()
        {
            hosts.push(set_up(&config, &topology, &uuids, number, storage)?);
        }
        if let Some(engine) = hosts.first().and_then(|host| host.engine.as_ref()) {
            let capabilities = engine.capabilities();
            config.node.keeps_collections_highest = capabilities.keeps_collections_highest;
            config.node.limits = capabilities.limits;
        }
        let mut clocks = SkewedClocks::new(config.seed, config.clock_skew_micros);
        for host in &mut hosts {
            host.clock_offset_nanos = clocks.offset_nanos();
        }
        let chaos = config.faults.clone().map(|faults| {
            let branches = topology.vbuckets().zip(uuids.iter().copied());
            Chaos::new(faults, config.seed, branches)
        });
        let foreign = ForeignClients::new(&config);
        let mut world = Self {
            config,
            topology,
            hosts,
            source,
            oracle: Oracle::default(),
            figures: Figures::default(),
            order: PersistenceOrder::default(),
            managers: managers::verdict(),
            chaos,
            lag_seqnos: 0,
            written: Vec::new(),
            stop_at: None,
            links: Links::default(),
            foreign,
            clock: Clock::default(),
            rng,
            clocks,
            network: Network::default(),
            trace: Trace::default(),
            timeline: None,
        };
        world.reconcile()?;
        Ok(world)
    }

    /// Writes a trace of the run.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Runs until the source is at its end and nothing is left to do.
    pub(in crate::sim) fn run_events(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<(), SimError> {
        // The client waits for the streams: what an active expelled before its replica asked for it would have to
        // come from disk.
        self.run_due(observer)?;
        let connected_micros = self.clock.now_micros();
        self.clock.schedule(0, Due::Client);
        self.begin_faults();
        self.run_due(observer)?;
        self.figures.virtual_micros = self.clock.now_micros() - connected_micros;
        self.figures.network_bytes = self.network.bytes;
        self.figures.network_messages = self.network.messages;
        let progress = self.progress();
        observer.progress(&Progress {
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
            if self.is_out_of_time() {
                break;
            }
            self.happen(due, observer)?;
            self.notice_lost_power()?;
            self.record();
        }
        Ok(())
    }

    fn happen(&mut self, due: Due, observer: &mut dyn Observer) -> Result<(), SimError> {
        match due {
            Due::Client => self.client(observer),
            Due::Node(node, incarnation, event) if self.is_incarnation(node, incarnation) => {
                self.step(node, *event)
            }
            Due::Compact(node, incarnation) if self.is_incarnation(node, incarnation) => {
                self.compact_on(node)
            }
            Due::Node(..) | Due::Compact(..) => Ok(()),
            Due::Arrive { link, to_consumer } => self.arrive(link, to_consumer),
            Due::Notice { link, consumer } => self.notice(link, consumer),
            Due::Answer(node, incarnation, writes) => {
                self.answer(node, incarnation, writes);
                Ok(())
            }
            Due::Reconcile => self.reconcile(),
            Due::Strike(kind) => self.strike(kind),
            Due::Undo(undo) => self.undo(undo),
            Due::Start(node) => self.start(node),
            Due::Move(step) => self.go_on_moving(step),
            Due::Read => self.read_a_replica(),
            Due::Tick => self.tick(),
            Due::Foreign(turn) => self.foreign(turn),
            Due::Calm => self.calm(),
        }
    }

    pub(in crate::sim) fn nodes(&self) -> Vec<&Node> {
        self.hosts.iter().map(|host| &host.node).collect()
    }

    pub(super) fn is_incarnation(&self, node: NodeId, incarnation: u32) -> bool {
        self.hosts
            .get(node)
            .is_some_and(|host| host.is_up && host.incarnation == incarnation)
    }

    /// Has something happen to a node later, unless it goes down before.
    pub(super) fn schedule(&mut self, node: NodeId, delay_micros: u64, event: Event) {
        if let Some(host) = self.hosts.get(node) {
            self.clock.schedule(
                delay_micros,
                Due::Node(node, host.incarnation, Box::new(event)),
            );
        }
    }

    pub(super) fn step(&mut self, node: NodeId, event: Event) -> Result<(), SimError> {
        let now = self.clock.now_nanos();
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.is_up) else {
            return Ok(());
        };
        let now = host.time(now);
        let stepped = host.node.step(event, now);
        let micros = self.clock.now_micros();
        let actions = stepped.map_err(|source| SimError::Node {
            node,
            micros,
            source,
        })?;
        self.watch(node);
        self.carry_out(node, actions)
    }

    pub(super) fn carry_out(&mut self, node: NodeId, actions: Vec<Action>) -> Result<(), SimError> {
        for action in actions {
            match action {
                Action::ToProducer(peer, bytes) => self.transmit((peer, node), false, bytes),
                Action::ToConsumer(peer, bytes) => self.transmit((node, peer), true, bytes),
                Action::Commit(group) => self.commit(node, group)?,
                Action::Backfill {
                    peer,
                    connection,
                    step,
                } => {
                    self.backfill(node, (peer, connection), step)?;
                }
                Action::Call(call) => self.call(node, call)?,
                Action::WakeFlusher => self.schedule(node, GATHER_MICROS, Event::FlushDue),
                Action::WakeSender(peer) => {
                    self.schedule(node, GATHER_MICROS, Event::SendDue { peer })
                }
                Action::Later(micros, event) => self.schedule(node, micros, *event),
                // No client here waits for a durable write.
                Action::Written { .. } | Action::Prepared { .. } => {}
                Action::StateSet { vb, state } => self.state_set(node, vb, state)?,
                Action::Persisted {
                    vb,
                    seqno,
                    whole,
                    items,
                } => {
                    self.persisted(node, vb, (seqno, whole), items)?;
                }
                Action::EngineFailed { error, .. } => self.engine_failed(node, error)?,
                // Whoever looked meanwhile could not give it a stream.
                Action::Settled { .. } => self.reconcile_soon(),
                Action::RolledBack { vb, seqno } => self.rolled_back(node, vb, seqno),
                Action::StreamStopped { peer, event } => self.stream_stopped(node, peer, event)?,
            }
        }
        Ok(())
    }

    fn transmit(&mut self, ends: (NodeId, NodeId), to_consumer: bool, bytes: Bytes) {
        if ForeignClients::number(ends.1).is_some() {
            return self.send_foreign(ends, to_consumer, bytes);
        }
        let Some(link) = self.links.current(ends) else {
            return;
        };
        let size = bytes.len();
        if !self.links.send(link, to_consumer, bytes) {
            return;
        }
        let direction = if to_consumer { ends } else { (ends.1, ends.0) };
        let delay = self
            .network
            .delay(direction, size, self.clock.now_micros(), &mut self.rng);
        self.clock
            .schedule(delay, Due::Arrive { link, to_consumer });
    }

    fn persisted(
        &mut self,
        node: NodeId,
        vb: Vbid,
        (seqno, whole): (Seqno, Seqno),
        items: usize,
    ) -> Result<(), SimError> {
        if let Some(host) = self.hosts.get_mut(node) {
            host.figures.persisted += items as u64;
            let high = host
                .node
                .partition(vb)
                .map_or(Seqno::ZERO, |partition| partition.vbucket.high_seqno());
            self.order.observe(node, vb, seqno, high, items);
        }
        self.acknowledged(node, vb, (seqno, whole));
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

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("config", &self.config)
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

fn set_up(
    config: &ClusterConfig,
    topology: &Topology,
    uuids: &[VbUuid],
    number: NodeId,
    storage: NodeStorage,
) -> Result<Host, SimError> {
    let copies = topology.vbuckets().zip(uuids);
    let copies: Vec<_> = copies
        .filter_map(|(vb, &uuid)| Some((vb, topology.role(vb, number)?, uuid)))
        .collect();
    let vbs: Vec<_> = copies.iter().map(|&(vb, ..)| vb).collect();
    let engine = storage.create(&vbs).map_err(|source| SimError::Engine {
        node: number,
        source,
    })?;
    let Capabilities {
        keeps_collections_highest,
        limits,
        ..
    } = engine.capabilities();
    let mut node = Node::new(NodeConfig {
        keeps_collections_highest,
        limits,
        ..config.node.clone()
    });
    node.observe(config.faults.is_some());
    for (vb, state, uuid) in copies {
        let state = VBucketState::new(state, FailoverLog::new(uuid));
        node.add_vbucket(vb, &state);
    }
    Ok(Host::new(node, engine, storage))
}

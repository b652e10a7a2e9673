//! The world of one run: nodes, their stores, the network and the client, driven event by event.
//!
//! What always holds: an event is carried out whole before the next; whatever an event causes is scheduled at or after
//! it; when no event is left, nothing will ever happen again, and the cluster is judged.

use bytes::Bytes;
use checkpoint::{FailoverLog, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use persistence::{Engine, FlushGroup};

use super::clock::Clock;
use super::cluster::{ClusterConfig, Topology};
use super::disk_time;
use super::error::SimError;
use super::invariants::persistence_order::PersistenceOrder;
use super::invariants::{Verdict, managers};
use super::limits;
use super::network::Network;
use super::oracle::Oracle;
use super::report::{Figures, NodeFigures};
use super::rng::SimRng;
use super::storage::{NodeStorage, Storage};
use super::trace::{Trace, TraceEvent};
use crate::input::{Change, Source};
use crate::node::{Action, Documents, Event, Node, NodeId};

/// Virtual time a client takes for a batch, and for each of its writes.
const BATCH_MICROS: u64 = 20;
const WRITE_MICROS: u64 = 5;
/// How long a client waits that finds no checkpoint memory.
const WAIT_MICROS: u64 = 1_000;
/// Writes that come within this time are flushed, or sent, together.
const GATHER_MICROS: u64 = 50;
/// The managers audit themselves every so many batches.
const AUDIT_BATCHES: u64 = 1_024;

/// Something due at an instant.
#[derive(Debug)]
pub(super) enum Due {
    /// The client writes its next batch.
    Client,
    /// Something happens to a node.
    Node(NodeId, Event),
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Batches written so far.
    pub batches: u64,
    /// Batches there are, if known.
    pub batches_total: Option<u64>,
    /// Writes so far: seqnos assigned.
    pub seqnos: u64,
    /// Seqnos the furthest replica is behind its active.
    pub lag_seqnos: u64,
    /// Bytes of all checkpoint managers.
    pub checkpoint_bytes: usize,
    /// Everything was written; the cluster comes to rest or is being judged.
    pub is_settling: bool,
}

/// Watches a run. It can't change anything.
pub trait Observer {
    /// Called after every batch.
    fn progress(&mut self, progress: &Progress);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _progress: &Progress) {}
}

/// A node with its store.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) node: Node,
    /// `None` only between closing and reopening.
    pub(super) engine: Option<Box<dyn Engine>>,
    pub(super) storage: NodeStorage,
    pub(super) figures: NodeFigures,
}

/// A cluster and its client.
pub struct World {
    pub(super) config: ClusterConfig,
    pub(super) topology: Topology,
    pub(super) hosts: Vec<Host>,
    pub(super) source: Box<dyn Source>,
    pub(super) oracle: Oracle,
    pub(super) figures: Figures,
    pub(super) order: PersistenceOrder,
    pub(super) managers: Verdict,
    clock: Clock<Due>,
    rng: SimRng,
    network: Network,
    trace: Trace,
}

impl World {
    /// Sets up the cluster: empty vBuckets on every node, and a stream for each replica.
    ///
    /// # Errors
    /// For a cluster that can't be, or storage that fails.
    pub fn new(config: ClusterConfig, storage: &Storage, source: Box<dyn Source>) -> Result<Self, SimError> {
        let topology = config.topology()?;
        let mut rng = SimRng::new(config.seed);
        let logs: Vec<_> = topology.vbuckets().map(|_| FailoverLog::new(VbUuid(rng.uuid()))).collect();
        let mut hosts = Vec::new();
        for (number, storage) in storage.nodes(config.nodes, config.engine)?.into_iter().enumerate() {
            hosts.push(set_up(&config, &topology, &logs, number, storage)?);
        }
        let mut world = Self {
            config,
            topology,
            hosts,
            source,
            oracle: Oracle::default(),
            figures: Figures::default(),
            order: PersistenceOrder::default(),
            managers: managers::verdict(),
            clock: Clock::default(),
            rng,
            network: Network::default(),
            trace: Trace::default(),
        };
        world.connect()?;
        Ok(world)
    }

    /// Writes a trace of the run.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Runs until the source is at its end and nothing is left to do.
    pub(super) fn run_events(&mut self, observer: &mut dyn Observer) -> Result<(), SimError> {
        // The client waits for the streams: what an active expelled before its replica asked for it would have to
        // come from disk.
        self.run_due(observer)?;
        let connected_micros = self.clock.now_micros();
        self.clock.schedule(0, Due::Client);
        self.run_due(observer)?;
        self.figures.virtual_micros = self.clock.now_micros() - connected_micros;
        self.figures.network_bytes = self.network.bytes;
        self.figures.network_messages = self.network.messages;
        observer.progress(&Progress { is_settling: true, ..self.progress() });
        Ok(())
    }

    fn run_due(&mut self, observer: &mut dyn Observer) -> Result<(), SimError> {
        while let Some(due) = self.clock.advance() {
            self.figures.events += 1;
            match due {
                Due::Client => self.client(observer)?,
                Due::Node(node, event) => self.step(node, event)?,
            }
        }
        Ok(())
    }

    pub(super) fn nodes(&self) -> Vec<&Node> {
        self.hosts.iter().map(|host| &host.node).collect()
    }

    fn connect(&mut self) -> Result<(), SimError> {
        for producer in self.topology.nodes() {
            for consumer in self.topology.nodes() {
                let vbs = self.topology.followed(producer, consumer);
                if vbs.is_empty() {
                    continue;
                }
                if let Some(host) = self.hosts.get_mut(producer) {
                    host.node.accept(consumer);
                }
                let Some(host) = self.hosts.get_mut(consumer) else { continue };
                let followed = host.node.follow(producer, &vbs);
                let actions =
                    followed.map_err(|source| SimError::Node { node: consumer, micros: 0, source })?;
                self.carry_out(consumer, actions)?;
            }
        }
        Ok(())
    }

    fn client(&mut self, observer: &mut dyn Observer) -> Result<(), SimError> {
        let (used_bytes, quota_bytes) = (self.fullest_node_bytes(), self.config.checkpoint_quota_bytes);
        if used_bytes > quota_bytes {
            if self.clock.is_empty() {
                return Err(SimError::Stalled { used_bytes, quota_bytes });
            }
            self.figures.client_waits += 1;
            self.clock.schedule(WAIT_MICROS, Due::Client);
            return Ok(());
        }
        let Some(batch) = self.source.next_batch()? else { return Ok(()) };
        limits::check(&batch)?;
        self.figures.batches += 1;
        for change in &batch.changes {
            self.write(change)?;
        }
        let micros = self.clock.now_micros();
        self.trace.write(&TraceEvent::Batch { micros, label: &batch.label, changes: batch.changes.len() })?;
        if self.figures.batches.is_multiple_of(AUDIT_BATCHES) {
            let nodes: Vec<_> = self.hosts.iter().map(|host| &host.node).collect();
            managers::check(&mut self.managers, &nodes);
        }
        self.figures.checkpoint_bytes_max = self.figures.checkpoint_bytes_max.max(self.fullest_node_bytes());
        let progress = self.progress();
        self.figures.lag_seqnos_max = self.figures.lag_seqnos_max.max(progress.lag_seqnos);
        observer.progress(&progress);
        self.clock.schedule(BATCH_MICROS + WRITE_MICROS * batch.changes.len() as u64, Due::Client);
        Ok(())
    }

    fn write(&mut self, change: &Change) -> Result<(), SimError> {
        self.oracle.apply(change);
        self.figures.mutations += 1;
        let vb = self.topology.vbucket_of(&change.key);
        let event = Event::Write { vb, key: Key::new(&change.key), value: change.value.clone() };
        self.step(self.topology.active(vb), event)
    }

    fn step(&mut self, node: NodeId, event: Event) -> Result<(), SimError> {
        let now = self.clock.now_nanos();
        let Some(host) = self.hosts.get_mut(node) else { return Ok(()) };
        let stepped = host.node.step(event, now);
        let micros = self.clock.now_micros();
        let actions = stepped.map_err(|source| SimError::Node { node, micros, source })?;
        self.carry_out(node, actions)
    }

    fn carry_out(&mut self, node: NodeId, actions: Vec<Action>) -> Result<(), SimError> {
        for action in actions {
            match action {
                Action::ToProducer(peer, bytes) => {
                    self.transmit((node, peer), bytes, |bytes| Event::FromConsumer { peer: node, bytes });
                }
                Action::ToConsumer(peer, bytes) => {
                    self.transmit((node, peer), bytes, |bytes| Event::FromProducer { peer: node, bytes });
                }
                Action::Commit(group) => self.commit(node, group),
                Action::WakeFlusher => self.clock.schedule(GATHER_MICROS, Due::Node(node, Event::FlushDue)),
                Action::WakeSender(peer) => {
                    self.clock.schedule(GATHER_MICROS, Due::Node(node, Event::SendDue { peer }));
                }
                Action::Persisted { vb, seqno, items } => self.persisted(node, vb, seqno, items)?,
            }
        }
        Ok(())
    }

    fn transmit(&mut self, (from, to): (NodeId, NodeId), bytes: Bytes, event: impl FnOnce(Bytes) -> Event) {
        let delay = self.network.delay((from, to), bytes.len(), self.clock.now_micros(), &mut self.rng);
        self.clock.schedule(delay, Due::Node(to, event(bytes)));
    }

    /// The engine is called at once; its answer arrives when the disk would have been done.
    fn commit(&mut self, node: NodeId, group: FlushGroup) {
        let now = self.clock.now_nanos();
        let Some(host) = self.hosts.get_mut(node) else { return };
        let Some(engine) = &host.engine else { return };
        let before = host.storage.disk.stats();
        let committed = group.commit(engine.as_ref(), now);
        let micros = disk_time::micros(&host.storage.disk.stats().since(&before));
        host.figures.flushes += 1;
        self.clock.schedule(micros, Due::Node(node, Event::FlushDone(committed)));
    }

    fn persisted(&mut self, node: NodeId, vb: Vbid, seqno: Seqno, items: usize) -> Result<(), SimError> {
        if let Some(host) = self.hosts.get_mut(node) {
            host.figures.persisted += items as u64;
            let high =
                host.node.partition(vb).map_or(Seqno::ZERO, |partition| partition.vbucket.high_seqno());
            self.order.observe(node, vb, seqno, high);
        }
        let micros = self.clock.now_micros();
        self.trace.write(&TraceEvent::Persisted { micros, node, vb: vb.0, seqno: seqno.0, items })
    }

    fn fullest_node_bytes(&self) -> usize {
        self.hosts.iter().map(|host| host.node.checkpoint_bytes()).max().unwrap_or(0)
    }

    fn progress(&self) -> Progress {
        let high_on = |node: NodeId, vb| {
            let partition = self.hosts.get(node).and_then(|host| host.node.partition(vb));
            partition.map_or(0, |partition| partition.vbucket.high_seqno().0)
        };
        let lag = |vb| {
            let active = high_on(self.topology.active(vb), vb);
            self.topology.replicas(vb).map(move |node| active.saturating_sub(high_on(node, vb))).max()
        };
        Progress {
            batches: self.figures.batches,
            batches_total: self.source.batches_total(),
            seqnos: self.figures.mutations,
            lag_seqnos: self.topology.vbuckets().filter_map(lag).max().unwrap_or(0),
            checkpoint_bytes: self.hosts.iter().map(|host| host.node.checkpoint_bytes()).sum(),
            is_settling: false,
        }
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
    logs: &[FailoverLog],
    number: NodeId,
    storage: NodeStorage,
) -> Result<Host, SimError> {
    let role = |vb: Vbid| match topology.active(vb) == number {
        true => Some(State::Active),
        false => topology.replicas(vb).any(|node| node == number).then_some(State::Replica),
    };
    let copies: Vec<_> =
        topology.vbuckets().zip(logs).filter_map(|(vb, log)| Some((vb, role(vb)?, log))).collect();
    let vbs: Vec<_> = copies.iter().map(|&(vb, ..)| vb).collect();
    let engine = storage.create(&vbs).map_err(|source| SimError::Engine { node: number, source })?;
    let mut node = Node::new(config.node.clone());
    for (vb, state, log) in copies {
        node.add_vbucket(vb, &VBucketState::new(state, log.clone()), Seqno::ZERO, Documents::default());
    }
    Ok(Host { node, engine: Some(engine), storage, figures: NodeFigures::default() })
}

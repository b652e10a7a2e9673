//! State of a world, and its creation: empty vBuckets on every node, and a stream for each replica.

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{FailoverLog, VBucketState, VbUuid, Vbid};
use lowtide_persistence::Capabilities;

use super::chaos::{self, Chaos};
use super::due::Due;
use super::guests::ForeignClients;
use super::host::{Host, Hosts};
use crate::input::Source;
use crate::node::{Node, NodeConfig, NodeId};
use crate::sim::config::{ClusterConfig, Topology};
use crate::sim::error::SimError;
use crate::sim::hardware::{Clock, Links, Network, NodeStorage, SkewedClocks, Storage};
use crate::sim::judge::{PersistenceOrder, managers};
use crate::sim::oracle::Oracle;
use crate::sim::record::{Figures, InvariantVerdict, Timeline, Trace};
use crate::sim::rng::SimRng;

/// A cluster with its clients.
pub struct World {
    pub(in crate::sim) config: ClusterConfig,
    pub(in crate::sim) topology: Topology,
    pub(in crate::sim) hosts: Hosts,
    pub(in crate::sim) source: Box<dyn Source>,
    pub(in crate::sim) oracle: Oracle,
    pub(in crate::sim) figures: Figures,
    pub(in crate::sim) order: PersistenceOrder,
    pub(in crate::sim) managers: InvariantVerdict,
    /// `None` for a run without faults.
    pub(in crate::sim) chaos: Option<Chaos>,
    /// Largest lag of a replica at the last measurement.
    pub(super) lag_seqnos: u64,
    /// Writes since that measurement.
    pub(super) written: Vec<Vbid>,
    /// Event after which the run stops, for a picture of the world.
    pub(super) stop_at: Option<u64>,
    pub(in crate::sim) links: Links,
    pub(in crate::sim) foreign: ForeignClients,
    pub(in crate::sim) clock: Clock<Due>,
    pub(super) rng: SimRng,
    /// Clock offsets of starting nodes.
    pub(super) clocks: SkewedClocks,
    pub(super) network: Network,
    pub(super) trace: Trace,
    /// `None` unless a timeline is recorded.
    pub(in crate::sim) timeline: Option<Timeline>,
}

impl World {
    /// Creates the cluster: empty vBuckets on every node, and a stream for each replica.
    ///
    /// # Errors
    /// If the configuration is invalid, or storage fails.
    pub fn new(
        mut config: ClusterConfig,
        storage: &Storage,
        source: Box<dyn Source>,
    ) -> Result<Self, SimError> {
        let topology = config.topology()?;
        if config.faults.is_some() && *storage != Storage::Memory {
            return Err(SimError::Config(
                "faults need disks in memory, which can lose data".into(),
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
        // All nodes have the same engine.
        let capabilities = hosts
            .first()
            .and_then(|host| host.engine.as_ref())
            .invariant("W21", "a cluster has a node, with an open store")?
            .capabilities();
        config.node.keeps_collections_highest = capabilities.keeps_collections_highest;
        config.node.limits = capabilities.limits;
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
            hosts: Hosts::new(hosts),
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

    /// Sets the trace of the run.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    pub(in crate::sim) fn nodes(&self) -> Vec<&Node> {
        self.hosts.iter().map(|host| &host.node).collect()
    }

    pub(super) fn is_incarnation(&self, node: NodeId, incarnation: u32) -> Result<bool, Violation> {
        let host = self.hosts.at(node)?;
        Ok(host.is_up && host.incarnation == incarnation)
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
    })
    .map_err(|error| SimError::Config(error.to_string()))?;
    if config.faults.is_some() {
        node.observe();
    }
    for (vb, state, uuid) in copies {
        let state = VBucketState::new(state, FailoverLog::new(uuid));
        node.add_vbucket(vb, &state);
    }
    Ok(Host::new(node, engine, storage))
}

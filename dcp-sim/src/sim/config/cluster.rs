//! Layout of a cluster: the node that serves each vBucket, and the nodes that follow it.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{State, Vbid};

use super::faults::FaultConfig;
use crate::node::{NodeConfig, NodeId};
use crate::sim::error::SimError;
use crate::sim::hardware::{EngineKind, StoreConfig};

/// Configuration of a simulated cluster. *Default*: three nodes with two replicas of 16 vBuckets, and
/// no faults.
///
/// ```
/// use dcp_sim::sim::{ClusterConfig, EngineKind};
///
/// let cluster = ClusterConfig::default()
///     .with_size(2, 1, 64)
///     .with_seed(7)
///     .with_engine(EngineKind::Logstor);
/// assert_eq!(cluster.topology()?.pairs().len(), 2);
/// # Ok::<_, dcp_sim::sim::SimError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Number of nodes; at least 1.
    pub nodes: usize,
    /// Number of replicas of each vBucket; less than the nodes.
    pub replicas: usize,
    /// Number of vBuckets; 1 to 1,024.
    pub vbuckets: u16,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Clients wait while a node's checkpoint managers hold more bytes than this.
    pub checkpoint_quota_bytes: usize,
    /// Storage engine of the nodes.
    pub engine: EngineKind,
    /// Configuration of that engine.
    pub store: StoreConfig,
    /// Largest deviation of a node's clock from the true time in microseconds, either way. It is
    /// drawn whenever a node starts.
    pub clock_skew_micros: u64,
    /// Configuration of each node.
    pub node: NodeConfig,
    /// Faults; `None` for a run without any.
    pub faults: Option<FaultConfig>,
    /// Number of foreign clients in a run with faults; `None` to draw it from the seed.
    pub clients: Option<usize>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            nodes: 3,
            replicas: 2,
            vbuckets: 16,
            seed: 1,
            checkpoint_quota_bytes: 64 << 20,
            engine: EngineKind::default(),
            store: StoreConfig::default(),
            clock_skew_micros: 0,
            node: NodeConfig::default(),
            faults: None,
            clients: None,
        }
    }
}

impl ClusterConfig {
    /// Largest number of vBuckets of a bucket.
    pub const VBUCKETS_MAX: u16 = 1_024;
    /// Largest number of nodes of a simulation.
    pub const NODES_MAX: usize = 100;

    /// Sets the number of nodes, of replicas of each vBucket, and of vBuckets.
    #[must_use]
    pub const fn with_size(mut self, nodes: usize, replicas: usize, vbuckets: u16) -> Self {
        self.nodes = nodes;
        self.replicas = replicas;
        self.vbuckets = vbuckets;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the bytes of a node's checkpoint managers above which clients wait.
    #[must_use]
    pub const fn with_checkpoint_quota_bytes(mut self, bytes: usize) -> Self {
        self.checkpoint_quota_bytes = bytes;
        self
    }

    /// Sets the storage engine.
    #[must_use]
    pub const fn with_engine(mut self, engine: EngineKind) -> Self {
        self.engine = engine;
        self
    }

    /// Sets the configuration of the stores.
    #[must_use]
    pub const fn with_store(mut self, store: StoreConfig) -> Self {
        self.store = store;
        self
    }

    /// Sets the largest deviation of a node's clock.
    #[must_use]
    pub const fn with_clock_skew_micros(mut self, micros: u64) -> Self {
        self.clock_skew_micros = micros;
        self
    }

    /// Sets the configuration of each node.
    #[must_use]
    pub fn with_node(mut self, node: NodeConfig) -> Self {
        self.node = node;
        self
    }

    /// Sets the faults.
    #[must_use]
    pub fn with_faults(mut self, faults: FaultConfig) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Sets the number of foreign clients.
    #[must_use]
    pub const fn with_clients(mut self, clients: usize) -> Self {
        self.clients = Some(clients);
        self
    }

    /// Validates the configuration and returns the initial layout.
    ///
    /// # Errors
    /// [`SimError::Config`] that names the invalid setting.
    pub fn topology(&self) -> Result<Topology, SimError> {
        let refuse = |what: String| Err(SimError::Config(what));
        if self.nodes == 0 || self.nodes > Self::NODES_MAX {
            return refuse(format!(
                "a cluster has 1 to {} nodes, not {}",
                Self::NODES_MAX,
                self.nodes
            ));
        }
        if self.replicas >= self.nodes {
            return refuse(format!(
                "{} replicas need {} nodes; there are {}",
                self.replicas,
                self.replicas.saturating_add(1),
                self.nodes
            ));
        }
        if self.vbuckets == 0 || self.vbuckets > Self::VBUCKETS_MAX {
            return refuse(format!(
                "there are 1 to {} vBuckets, not {}",
                Self::VBUCKETS_MAX,
                self.vbuckets
            ));
        }
        Ok(Topology::new(self.nodes, self.replicas, self.vbuckets))
    }
}

const VB_IS_KNOWN: &str = "the vBucket is one of the cluster's";

/// Placement of all vBuckets. Initially the active of vBucket `v` is on node `v mod nodes`, its
/// replicas on the nodes after it. Fail-overs and moves change that. Every vBucket has an active at
/// any time, though its node may be down.
#[derive(Clone, Debug)]
pub struct Topology {
    nodes: usize,
    vbuckets: u16,
    copies: Vec<Copies>,
}

#[derive(Clone, Debug)]
struct Copies {
    active: NodeId,
    replicas: Vec<NodeId>,
}

impl Topology {
    fn new(nodes: usize, replicas: usize, vbuckets: u16) -> Self {
        let copies = (0..usize::from(vbuckets)).map(|vb| {
            let active = vb % nodes;
            Copies {
                active,
                replicas: (1..=replicas).map(|step| (active + step) % nodes).collect(),
            }
        });
        Self {
            nodes,
            vbuckets,
            copies: copies.collect(),
        }
    }

    /// Returns every vBucket.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> + use<> {
        (0..self.vbuckets).map(Vbid)
    }

    /// Returns every node.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        0..self.nodes
    }

    /// Returns the vBucket of a user's key.
    #[must_use]
    pub fn vbucket_of(&self, key: &[u8]) -> Vbid {
        Vbid(crate::input::vbucket_of(key, self.vbuckets))
    }

    /// Returns the node that serves a vBucket of the cluster.
    #[must_use]
    pub fn active(&self, vb: Vbid) -> NodeId {
        self.copies(vb)
            .expected("W21", VB_IS_KNOWN)
            // A node of the cluster, without a copy of that vBucket: every check of it fails.
            .map_or(0, |copies| copies.active)
    }

    /// Returns the nodes that follow it.
    pub fn replicas(&self, vb: Vbid) -> impl Iterator<Item = NodeId> {
        self.copies(vb)
            .expected("W21", VB_IS_KNOWN)
            .into_iter()
            .flat_map(|copies| copies.replicas.iter().copied())
    }

    /// Returns the nodes with a copy of it, the active first.
    pub fn copies_of(&self, vb: Vbid) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.active(vb)).chain(self.replicas(vb))
    }

    /// Returns the role of a node for a vBucket, or `None` without a copy.
    #[must_use]
    pub fn role(&self, vb: Vbid, node: NodeId) -> Option<State> {
        if self.active(vb) == node {
            return Some(State::Active);
        }
        self.replicas(vb)
            .any(|replica| replica == node)
            .then_some(State::Replica)
    }

    /// Returns every pair of producer and consumer with the vBuckets between them, by number of
    /// node.
    #[must_use]
    pub fn pairs(&self) -> BTreeMap<(NodeId, NodeId), Vec<Vbid>> {
        let mut pairs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (vb, copies) in self.vbuckets().zip(&self.copies) {
            for &replica in &copies.replicas {
                pairs.entry((copies.active, replica)).or_default().push(vb);
            }
        }
        pairs
    }

    /// Swaps the roles of the active and a replica. Does nothing if the replica moved away.
    pub(in crate::sim) fn promote(&mut self, vb: Vbid, node: NodeId) {
        if let Some(copies) = self.copies_mut(vb) {
            for place in copies
                .replicas
                .iter_mut()
                .filter(|replica| **replica == node)
            {
                *place = std::mem::replace(&mut copies.active, node);
            }
        }
    }

    /// Adds a replica on a node. Does nothing if the node has a copy.
    pub(in crate::sim) fn add_replica(&mut self, vb: Vbid, node: NodeId) {
        let is_new = self.role(vb, node).is_none();
        if let Some(copies) = self.copies_mut(vb).filter(|_| is_new) {
            copies.replicas.push(node);
        }
    }

    /// Removes a replica.
    pub(in crate::sim) fn remove_replica(&mut self, vb: Vbid, node: NodeId) {
        if let Some(copies) = self.copies_mut(vb) {
            copies.replicas.retain(|&replica| replica != node);
        }
    }

    fn copies(&self, vb: Vbid) -> Option<&Copies> {
        self.copies.get(usize::from(vb.0))
    }

    fn copies_mut(&mut self, vb: Vbid) -> Option<&mut Copies> {
        // In a release build nothing changes then, and the checks of the vBucket fail.
        self.copies
            .get_mut(usize::from(vb.0))
            .expected("W21", VB_IS_KNOWN)
    }
}

#[cfg(test)]
mod tests;

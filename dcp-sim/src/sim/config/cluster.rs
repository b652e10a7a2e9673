//! How a cluster is laid out: which node serves which vBucket, and which nodes follow it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{State, Vbid};

use super::faults::FaultConfig;
use crate::node::{NodeConfig, NodeId};
use crate::sim::error::SimError;
use crate::sim::hardware::{EngineKind, StoreConfig};

/// What a simulated cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Nodes; at least 1.
    pub nodes: usize,
    /// Copies of each vBucket beside the active; less than the nodes.
    pub replicas: usize,
    /// vBuckets; 1 to 1,024.
    pub vbuckets: u16,
    /// What every chance is drawn from.
    pub seed: u64,
    /// Clients wait while a node's checkpoint managers hold more than this.
    pub checkpoint_quota_bytes: usize,
    /// What each node stores with.
    pub engine: EngineKind,
    /// How that engine is run.
    pub store: StoreConfig,
    /// How far each node's clock may be from the true time, either way, in microseconds. It is drawn whenever a node
    /// starts.
    pub clock_skew_micros: u64,
    /// How each node is set up.
    pub node: NodeConfig,
    /// What goes wrong; `None` for a run in which nothing does.
    pub faults: Option<FaultConfig>,
    /// Foreign clients that follow its vBuckets, where something goes wrong; `None` for as many as the seed draws.
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
    /// Most vBuckets a bucket has.
    pub const VBUCKETS_MAX: u16 = 1_024;
    /// Most nodes a simulation has.
    pub const NODES_MAX: usize = 100;

    /// Checks that it makes sense.
    ///
    /// # Errors
    /// [`SimError::Config`] that says what does not.
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
            let (replicas, nodes) = (self.replicas, self.nodes);
            return refuse(format!(
                "{replicas} replicas need {} nodes; there are {nodes}",
                replicas + 1
            ));
        }
        if self.vbuckets == 0 || self.vbuckets > Self::VBUCKETS_MAX {
            let (max, vbuckets) = (Self::VBUCKETS_MAX, self.vbuckets);
            return refuse(format!("there are 1 to {max} vBuckets, not {vbuckets}"));
        }
        Ok(Topology::new(self.nodes, self.replicas, self.vbuckets))
    }
}

/// Which node has which vBucket. At first the active of vBucket `v` is node `v mod nodes`, its replicas the nodes after
/// it; fail-overs and moves change that. Every vBucket has an active at any time, which need not be up.
#[derive(Clone, Debug)]
pub struct Topology {
    nodes: usize,
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
            copies: copies.collect(),
        }
    }

    /// Every vBucket.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> + use<> {
        (0..self.copies.len() as u16).map(Vbid)
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        0..self.nodes
    }

    /// The vBucket of a user's key.
    #[must_use]
    pub fn vbucket_of(&self, key: &[u8]) -> Vbid {
        Vbid(crate::input::vbucket_of(key, self.copies.len() as u16))
    }

    /// The node that serves a vBucket; node 0 for one that is none.
    #[must_use]
    pub fn active(&self, vb: Vbid) -> NodeId {
        self.copies(vb).map_or(0, |copies| copies.active)
    }

    /// The nodes that follow it.
    pub fn replicas(&self, vb: Vbid) -> impl Iterator<Item = NodeId> {
        self.copies(vb)
            .into_iter()
            .flat_map(|copies| copies.replicas.iter().copied())
    }

    /// The nodes that have a copy of it, the active first.
    pub fn copies_of(&self, vb: Vbid) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.active(vb)).chain(self.replicas(vb))
    }

    /// What a node is to a vBucket; `None` if it has no copy.
    #[must_use]
    pub fn role(&self, vb: Vbid, node: NodeId) -> Option<State> {
        match self.active(vb) == node {
            true => Some(State::Active),
            false => self
                .replicas(vb)
                .any(|replica| replica == node)
                .then_some(State::Replica),
        }
    }

    /// Every pair of a producer and a consumer with the vBuckets between them, by number of node.
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

    /// One of a vBucket's replicas becomes its active, and the active a replica.
    pub(in crate::sim) fn promote(&mut self, vb: Vbid, node: NodeId) {
        if let Some(copies) = self.copies.get_mut(usize::from(vb.0)) {
            for place in copies
                .replicas
                .iter_mut()
                .filter(|replica| **replica == node)
            {
                *place = std::mem::replace(&mut copies.active, node);
            }
        }
    }

    /// A node that has no copy of a vBucket becomes a replica.
    pub(in crate::sim) fn add_replica(&mut self, vb: Vbid, node: NodeId) {
        let is_new = self.role(vb, node).is_none();
        if let Some(copies) = self.copies.get_mut(usize::from(vb.0)).filter(|_| is_new) {
            copies.replicas.push(node);
        }
    }

    /// A replica is no copy any more.
    pub(in crate::sim) fn remove_replica(&mut self, vb: Vbid, node: NodeId) {
        if let Some(copies) = self.copies.get_mut(usize::from(vb.0)) {
            copies.replicas.retain(|&replica| replica != node);
        }
    }

    fn copies(&self, vb: Vbid) -> Option<&Copies> {
        self.copies.get(usize::from(vb.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_on_a_node_of_its_own() {
        let config = ClusterConfig {
            nodes: 4,
            replicas: 2,
            vbuckets: 10,
            ..ClusterConfig::default()
        };
        let topology = config.topology().expect("valid");
        for vb in topology.vbuckets() {
            let mut copies: Vec<_> = topology.replicas(vb).chain([topology.active(vb)]).collect();
            copies.sort_unstable();
            copies.dedup();
            assert_eq!(copies.len(), 3, "{vb}");
        }
        let pairs = topology.pairs();
        assert_eq!(pairs.get(&(0, 1)), Some(&vec![Vbid(0), Vbid(4), Vbid(8)]));
        assert_eq!(pairs.get(&(0, 3)), None);
    }

    #[test]
    fn copies_change_their_roles_and_places() {
        let config = ClusterConfig {
            nodes: 4,
            replicas: 1,
            vbuckets: 2,
            ..ClusterConfig::default()
        };
        let mut topology = config.topology().expect("valid");
        topology.promote(Vbid(1), 2);
        assert_eq!(topology.copies_of(Vbid(1)).collect::<Vec<_>>(), [2, 1]);
        topology.promote(Vbid(1), 3);
        assert_eq!(topology.active(Vbid(1)), 2, "it has no copy");
        topology.add_replica(Vbid(1), 3);
        topology.add_replica(Vbid(1), 2);
        topology.remove_replica(Vbid(1), 1);
        assert_eq!(topology.copies_of(Vbid(1)).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(topology.role(Vbid(1), 1), None);
        assert_eq!(topology.copies_of(Vbid(0)).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn what_makes_no_cluster_is_refused() {
        let config = ClusterConfig::default;
        for bad in [
            ClusterConfig {
                nodes: 0,
                ..config()
            },
            ClusterConfig {
                nodes: 2,
                replicas: 2,
                ..config()
            },
            ClusterConfig {
                vbuckets: 0,
                ..config()
            },
            ClusterConfig {
                vbuckets: 1_025,
                ..config()
            },
        ] {
            assert!(
                matches!(bad.topology(), Err(SimError::Config(_))),
                "{bad:?}"
            );
        }
    }
}

//! How a cluster is laid out: which node serves which vBucket, and which nodes follow it.

use checkpoint::Vbid;

use super::{EngineKind, SimError};
use crate::node::{NodeConfig, NodeId};

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
    /// How each node is set up.
    pub node: NodeConfig,
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
            node: NodeConfig::default(),
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
            return refuse(format!("a cluster has 1 to {} nodes, not {}", Self::NODES_MAX, self.nodes));
        }
        if self.replicas >= self.nodes {
            let (replicas, nodes) = (self.replicas, self.nodes);
            return refuse(format!("{replicas} replicas need {} nodes; there are {nodes}", replicas + 1));
        }
        if self.vbuckets == 0 || self.vbuckets > Self::VBUCKETS_MAX {
            let (max, vbuckets) = (Self::VBUCKETS_MAX, self.vbuckets);
            return refuse(format!("there are 1 to {max} vBuckets, not {vbuckets}"));
        }
        Ok(Topology { nodes: self.nodes, replicas: self.replicas, vbuckets: self.vbuckets })
    }
}

/// Which node has which vBucket: the active of vBucket `v` is node `v mod nodes`, its replicas the nodes after it.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    nodes: usize,
    replicas: usize,
    vbuckets: u16,
}

impl Topology {
    /// Every vBucket.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> + use<> {
        (0..self.vbuckets).map(Vbid)
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        0..self.nodes
    }

    /// The vBucket of a user's key.
    #[must_use]
    pub fn vbucket_of(&self, key: &[u8]) -> Vbid {
        Vbid(crate::input::vbucket_of(key, self.vbuckets))
    }

    /// The node that serves a vBucket.
    #[must_use]
    pub fn active(&self, vb: Vbid) -> NodeId {
        usize::from(vb.0) % self.nodes
    }

    /// The nodes that follow it.
    pub fn replicas(&self, vb: Vbid) -> impl Iterator<Item = NodeId> + use<> {
        let (active, nodes) = (self.active(vb), self.nodes);
        (1..=self.replicas).map(move |step| (active + step) % nodes)
    }

    /// The vBuckets that `consumer` follows on `producer`.
    #[must_use]
    pub fn followed(&self, producer: NodeId, consumer: NodeId) -> Vec<Vbid> {
        let follows =
            |vb: &Vbid| self.active(*vb) == producer && self.replicas(*vb).any(|node| node == consumer);
        self.vbuckets().filter(follows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_on_a_node_of_its_own() {
        let config = ClusterConfig { nodes: 4, replicas: 2, vbuckets: 10, ..ClusterConfig::default() };
        let topology = config.topology().expect("valid");
        for vb in topology.vbuckets() {
            let mut copies: Vec<_> = topology.replicas(vb).chain([topology.active(vb)]).collect();
            copies.sort_unstable();
            copies.dedup();
            assert_eq!(copies.len(), 3, "{vb}");
        }
        assert_eq!(topology.followed(0, 1), [Vbid(0), Vbid(4), Vbid(8)]);
        assert_eq!(topology.followed(0, 3), []);
    }

    #[test]
    fn what_makes_no_cluster_is_refused() {
        let config = ClusterConfig::default;
        for bad in [
            ClusterConfig { nodes: 0, ..config() },
            ClusterConfig { nodes: 2, replicas: 2, ..config() },
            ClusterConfig { vbuckets: 0, ..config() },
            ClusterConfig { vbuckets: 1_025, ..config() },
        ] {
            assert!(matches!(bad.topology(), Err(SimError::Config(_))), "{bad:?}");
        }
    }
}

//! W2: at rest everything is durable on every copy, and no replica is behind.

use crate::node::Node;
use crate::sim::config::Topology;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(topology: &Topology, nodes: &[&Node]) -> InvariantVerdict {
    let mut verdict = InvariantVerdict::new(
        "W2",
        "at rest every copy has its active's high seqno, all of it persisted",
    );
    for vb in topology.vbuckets() {
        let high_on = |node: usize| {
            nodes
                .get(node)?
                .partition(vb)
                .map(|copy| copy.vbucket.high_seqno())
        };
        let high = high_on(topology.active(vb));
        for node in topology.replicas(vb).chain([topology.active(vb)]) {
            let here = high_on(node);
            let persisted = nodes.get(node).and_then(|node| node.persisted_seqno(vb));
            let is_right = high.is_some() && here == high && persisted == high;
            verdict.check((!is_right).then(|| {
                format!("vBucket {vb}: active at {high:?}; node {node} has {here:?}, persisted {persisted:?}")
            }));
        }
    }
    for (number, node) in nodes.iter().enumerate() {
        verdict.check((!node.is_idle()).then(|| format!("node {number} is not idle")));
    }
    verdict
}

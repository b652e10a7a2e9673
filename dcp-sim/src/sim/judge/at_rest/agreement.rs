//! W3: every replica has the documents of its active: keys, values, seqnos, revisions, CAS,
//! tombstones.

use crate::node::Node;
use crate::sim::config::Topology;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(
    topology: &Topology,
    nodes: &[&Node],
    with_tombstones: bool,
) -> InvariantVerdict {
    let mut verdict = InvariantVerdict::new(
        "W3",
        "every replica equals its active, document by document",
    );
    for vb in topology.vbuckets() {
        let copy_on = |node: usize| nodes.get(node)?.partition(vb);
        for replica in topology.replicas(vb) {
            let (Some(active), Some(copy)) = (copy_on(topology.active(vb)), copy_on(replica))
            else {
                verdict.check(Some(format!("vBucket {vb} lacks a copy on node {replica}")));
                continue;
            };
            let differing = if with_tombstones {
                active.documents.first_difference(&copy.documents)
            } else {
                active.documents.first_live_difference(&copy.documents)
            };
            verdict.check(differing.map(|key| {
                let active = active.documents.get(key);
                let copy = copy.documents.get(key);
                format!("vBucket {vb}, key {key}: active {active:?}, node {replica} {copy:?}")
            }));
        }
    }
    verdict
}

//! W3: every replica has the documents of its active: keys, values, seqnos, revisions, CAS,
//! tombstones.

use super::stores::Stores;
use crate::sim::config::Topology;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(
    topology: &Topology,
    stores: &Stores,
    with_tombstones: bool,
) -> InvariantVerdict {
    let mut verdict = InvariantVerdict::new(
        "W3",
        "every replica equals its active, document by document",
    );
    for vb in topology.vbuckets() {
        let copy_on = |node| stores.get(node, vb);
        for replica in topology.replicas(vb) {
            let (Some(active), Some(copy)) = (copy_on(topology.active(vb)), copy_on(replica))
            else {
                verdict.check(Some(format!("vBucket {vb} lacks a copy on node {replica}")));
                continue;
            };
            let differing = if with_tombstones {
                active.first_difference(copy)
            } else {
                active.first_live_difference(copy)
            };
            verdict.check(differing.map(|key| {
                let active = active.get(key);
                let copy = copy.get(key);
                format!("vBucket {vb}, key {key}: active {active:?}, node {replica} {copy:?}")
            }));
        }
    }
    verdict
}

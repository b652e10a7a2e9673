//! W6: every checkpoint manager passes its own audit.

use crate::node::Node;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check<'a>(
    verdict: &mut InvariantVerdict,
    nodes: impl Iterator<Item = &'a Node>,
) {
    for (number, node) in nodes.enumerate() {
        for partition in node.partitions() {
            let violations = partition.vbucket.manager().check();
            let vb = partition.vbucket.id();
            verdict.check(
                violations
                    .first()
                    .map(|what| format!("node {number}, vBucket {vb}: {what}")),
            );
        }
    }
}

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new("W6", "every checkpoint manager passes its own audit")
}

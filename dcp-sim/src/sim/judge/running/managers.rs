//! W6: every checkpoint manager passes its own audit.

use crate::node::Node;
use crate::sim::record::Verdict;

pub(in crate::sim) fn check(verdict: &mut Verdict, nodes: &[&Node]) {
    for (number, node) in nodes.iter().enumerate() {
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

pub(in crate::sim) fn verdict() -> Verdict {
    Verdict::new("W6", "every checkpoint manager passes its own audit")
}

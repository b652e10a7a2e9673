//! W1: a persisted seqno rises with every report and is never above what the vBucket has.

use std::collections::BTreeMap;

use checkpoint::{Seqno, Vbid};

use super::Verdict;
use crate::node::NodeId;

/// Looks at every report of a flusher.
#[derive(Debug)]
pub(in crate::sim) struct PersistenceOrder {
    last: BTreeMap<(NodeId, Vbid), Seqno>,
    verdict: Verdict,
}

impl Default for PersistenceOrder {
    fn default() -> Self {
        let what = "persisted seqnos rise and never pass the vBucket's high seqno";
        Self { last: BTreeMap::new(), verdict: Verdict::new("W1", what) }
    }
}

impl PersistenceOrder {
    pub(in crate::sim) fn observe(&mut self, node: NodeId, vb: Vbid, seqno: Seqno, high: Seqno) {
        let before = self.last.insert((node, vb), seqno).unwrap_or_default();
        let is_right = seqno > before && seqno <= high;
        self.verdict.check((!is_right).then(|| {
            format!("node {node}, vBucket {vb}: persisted {seqno} after {before}, high seqno {high}")
        }));
    }

    pub(in crate::sim) fn verdict(self) -> Verdict {
        self.verdict
    }
}

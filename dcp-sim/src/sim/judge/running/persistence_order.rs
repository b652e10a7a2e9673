//! W1: a persisted seqno rises with every report and never exceeds the vBucket's high seqno.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::node::NodeId;
use crate::sim::record::Verdict;

/// Checks of every report of a flusher.
#[derive(Debug)]
pub(in crate::sim) struct PersistenceOrder {
    last: BTreeMap<(NodeId, Vbid), Seqno>,
    verdict: Verdict,
}

impl Default for PersistenceOrder {
    fn default() -> Self {
        let what = "persisted seqnos rise and never pass the vBucket's high seqno";
        Self {
            last: BTreeMap::new(),
            verdict: Verdict::new("W1", what),
        }
    }
}

impl PersistenceOrder {
    pub(in crate::sim) fn observe(
        &mut self,
        node: NodeId,
        vb: Vbid,
        seqno: Seqno,
        high: Seqno,
        items: usize,
    ) {
        let before = self.last.insert((node, vb), seqno).unwrap_or_default();
        // A commit of the state alone, or of items that an earlier flush had written, has no new
        // seqno.
        let rises = seqno > before || (items == 0 && seqno == before);
        let is_right = rises && seqno <= high;
        self.verdict.check((!is_right).then(|| {
            format!(
                "node {node}, vBucket {vb}: persisted {seqno} after {before}, high seqno {high}"
            )
        }));
    }

    /// Restarts the reports of a copy at `seqno`, after a rollback or a start of its node.
    pub(in crate::sim) fn restart(&mut self, node: NodeId, vb: Vbid, seqno: Seqno) {
        self.last.insert((node, vb), seqno);
    }

    pub(in crate::sim) fn verdict(self) -> Verdict {
        self.verdict
    }
}

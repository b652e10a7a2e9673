//! W1: a persisted seqno rises with every report and never exceeds the vBucket's high seqno.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::node::NodeId;
use crate::sim::record::InvariantVerdict;

/// Checks of every report of a flusher.
#[derive(Debug)]
pub(in crate::sim) struct PersistenceOrder {
    last: BTreeMap<(NodeId, Vbid), Seqno>,
    verdict: InvariantVerdict,
}

impl Default for PersistenceOrder {
    fn default() -> Self {
        let what = "persisted seqnos rise and never pass the vBucket's high seqno";
        Self {
            last: BTreeMap::new(),
            verdict: InvariantVerdict::new("W1", what),
        }
    }
}

impl PersistenceOrder {
    /// Checks a report. `high` is the copy's high seqno, `None` if the node has no copy.
    pub(in crate::sim) fn observe(
        &mut self,
        node: NodeId,
        vb: Vbid,
        seqno: Seqno,
        high: Option<Seqno>,
        items: usize,
    ) {
        // Nothing is persisted before the first report.
        let before = self.last.insert((node, vb), seqno).unwrap_or_default();
        // A commit of the state alone, or of items that an earlier flush had written, has no new
        // seqno.
        let rises = seqno > before || (items == 0 && seqno == before);
        let is_right = rises && high.is_some_and(|high| seqno <= high);
        self.verdict.check((!is_right).then(|| {
            let high = high.map_or("of no copy".to_owned(), |high| high.to_string());
            format!(
                "node {node}, vBucket {vb}: persisted {seqno} after {before}, high seqno {high}"
            )
        }));
    }

    /// Restarts the reports of a copy at `seqno`, after a rollback or a start of its node.
    pub(in crate::sim) fn restart(&mut self, node: NodeId, vb: Vbid, seqno: Seqno) {
        self.last.insert((node, vb), seqno);
    }

    pub(in crate::sim) fn verdict(self) -> InvariantVerdict {
        self.verdict
    }
}

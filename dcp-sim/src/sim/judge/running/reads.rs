//! W18: what a client reads on a replica is what its history has at a snapshot's end, and the next read there is of no
//! earlier state, unless the copy went back.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Key, Seqno, VbUuid, Vbid};

use crate::node::{Document, NodeId};
use crate::sim::oracle::History;
use crate::sim::record::Verdict;

/// What a read was of: the last seqno that could be seen, and the branch it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Seen {
    pub(in crate::sim) node: NodeId,
    pub(in crate::sim) vb: Vbid,
    pub(in crate::sim) branch: VbUuid,
    pub(in crate::sim) seqno: Seqno,
}

/// Looks at every read of a replica.
#[derive(Debug)]
pub(in crate::sim) struct Reads {
    last: BTreeMap<(NodeId, Vbid), Seqno>,
    verdict: Verdict,
}

impl Default for Reads {
    fn default() -> Self {
        let what = "a replica's read is of a snapshot's end in its history, and never of an earlier one than before";
        Self {
            last: BTreeMap::new(),
            verdict: Verdict::new("W18", what),
        }
    }
}

impl Reads {
    /// Somebody looks at a copy that is receiving the snapshot `receives`, or has received it last.
    pub(in crate::sim) fn seen(&mut self, seen: Seen, receives: Option<(Seqno, Seqno)>) {
        let before = self
            .last
            .insert((seen.node, seen.vb), seen.seqno)
            .unwrap_or_default();
        let is_inside = |(start, end): (Seqno, Seqno)| start < seen.seqno && seen.seqno < end;
        let what = if seen.seqno < before {
            Some(format!("{before} was seen before"))
        } else {
            receives
                .filter(|&range| is_inside(range))
                .map(|range| format!("it is inside {range:?}"))
        };
        self.told(seen, what);
    }

    /// A key was read.
    pub(in crate::sim) fn key(
        &mut self,
        seen: Seen,
        key: &Key,
        found: Option<&Document>,
        history: &History,
    ) {
        let found = found
            .filter(|document| document.value.is_some())
            .map(|document| document.digest(key));
        let written = history.live_at(seen.vb, seen.branch, seen.seqno, key);
        let what = format!("{key} is {found:x?}, written was {written:x?}");
        self.told(seen, (found != written).then_some(what));
    }

    /// Everything was read: `content` is the sum of the live documents' digests.
    pub(in crate::sim) fn whole(&mut self, seen: Seen, content: u64, history: &History) {
        let written = history.content_at(seen.vb, seen.branch, seen.seqno);
        let what = format!("all of it is {content:x}, written was {written:x?}");
        self.told(seen, (written != Some(content)).then_some(what));
    }

    /// An engine could not read.
    pub(in crate::sim) fn failed(&mut self, node: NodeId, vb: Vbid, error: &dyn std::error::Error) {
        self.verdict
            .check(Some(format!("node {node}, vBucket {vb}: {error}")));
    }

    /// A copy is made anew, or goes back.
    pub(in crate::sim) fn given_up(&mut self, node: NodeId, vb: Vbid) {
        self.last.remove(&(node, vb));
    }

    pub(in crate::sim) fn verdict(self) -> Verdict {
        self.verdict
    }

    fn told(&mut self, seen: Seen, what: Option<String>) {
        self.verdict.check(what.map(|what| {
            let Seen {
                node,
                vb,
                branch,
                seqno,
            } = seen;
            format!("node {node}, vBucket {vb}, {branch}, up to {seqno}: {what}")
        }));
    }
}

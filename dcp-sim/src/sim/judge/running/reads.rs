//! W18: a read on a replica sees the end of a snapshot of its history. The next read sees no
//! earlier state, unless the copy was rolled back.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Key, Seqno, VbUuid, Vbid};

use crate::node::NodeId;
use crate::sim::oracle::{History, Revision};
use crate::sim::record::InvariantVerdict;

/// State that a read saw: its last visible seqno, and the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Seen {
    pub(in crate::sim) node: NodeId,
    pub(in crate::sim) vb: Vbid,
    pub(in crate::sim) branch: VbUuid,
    pub(in crate::sim) seqno: Seqno,
}

/// Checks of every read on a replica.
#[derive(Debug)]
pub(in crate::sim) struct Reads {
    last: BTreeMap<(NodeId, Vbid), Seqno>,
    verdict: InvariantVerdict,
}

impl Default for Reads {
    fn default() -> Self {
        let what = "a read on a replica sees the end of a snapshot, and never an earlier one than the read before";
        Self {
            last: BTreeMap::new(),
            verdict: InvariantVerdict::new("W18", what),
        }
    }
}

impl Reads {
    /// Checks the state of a read. `receives` is the range of the copy's current or last snapshot;
    /// `is_known` is `true` if the history has the branch.
    pub(in crate::sim) fn seen(
        &mut self,
        seen: Seen,
        receives: Option<(Seqno, Seqno)>,
        is_known: bool,
    ) {
        let before = self
            .last
            .insert((seen.node, seen.vb), seen.seqno)
            .unwrap_or(Seqno::ZERO);
        let is_inside = |(start, end): (Seqno, Seqno)| start < seen.seqno && seen.seqno < end;
        let what = if seen.seqno < before {
            Some(format!("{before} was seen before"))
        } else if seen.seqno > Seqno::ZERO && !is_known {
            Some("nothing was written on that branch".to_owned())
        } else {
            receives
                .filter(|&range| is_inside(range))
                .map(|range| format!("it is inside {range:?}"))
        };
        self.check(seen, what);
    }

    /// Checks the read of a key.
    pub(in crate::sim) fn key(
        &mut self,
        seen: Seen,
        key: &Key,
        found: Option<&Item>,
        history: &History,
    ) {
        let found = found
            .map(Revision::of)
            .filter(|revision| revision.is_live)
            .map(|revision| revision.digest);
        let written = history.live_at(seen.vb, seen.branch, seen.seqno, key);
        let what = format!("{key} is {found:x?}, written was {written:x?}");
        self.check(seen, (found != written).then_some(what));
    }

    /// Checks the read of all documents. `content` is the sum of the live digests.
    pub(in crate::sim) fn whole(&mut self, seen: Seen, content: u64, history: &History) {
        let written = history.content_at(seen.vb, seen.branch, seen.seqno);
        let what = format!("all of it is {content:x}, written was {written:x?}");
        self.check(seen, (written != Some(content)).then_some(what));
    }

    /// Records a failed read of an engine.
    pub(in crate::sim) fn failed(&mut self, node: NodeId, vb: Vbid, error: &dyn std::error::Error) {
        self.verdict
            .check(Some(format!("node {node}, vBucket {vb}: {error}")));
    }

    /// Forgets the reads of a copy that was rolled back or created again.
    pub(in crate::sim) fn forget(&mut self, node: NodeId, vb: Vbid) {
        self.last.remove(&(node, vb));
    }

    pub(in crate::sim) fn verdict(self) -> InvariantVerdict {
        self.verdict
    }

    fn check(&mut self, seen: Seen, what: Option<String>) {
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

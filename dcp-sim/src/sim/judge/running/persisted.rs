//! W9: everything acknowledged as persisted remains: on the node that acknowledged it, after its
//! restart, and on every new branch if all copies acknowledged it.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use crate::node::NodeId;
use crate::sim::oracle::History;
use crate::sim::record::InvariantVerdict;

/// Last acknowledgement of a copy.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    branch: Option<VbUuid>,
    persisted: Seqno,
    whole: Seqno,
}

/// Checks of every acknowledgement, every start of a node and every new branch.
#[derive(Debug)]
pub(in crate::sim) struct Persisted {
    said: BTreeMap<(NodeId, Vbid), Said>,
    /// Highest seqno that all copies of a vBucket persisted, with its branch.
    everywhere: BTreeMap<Vbid, (VbUuid, Seqno)>,
    verdict: InvariantVerdict,
}

impl Default for Persisted {
    fn default() -> Self {
        let verdict = InvariantVerdict::new(
            "W9",
            "what was acknowledged as persisted is there afterwards",
        );
        Self {
            said: BTreeMap::new(),
            everywhere: BTreeMap::new(),
            verdict,
        }
    }
}

impl Persisted {
    /// Records an acknowledgement of a copy on that branch.
    pub(in crate::sim) fn acknowledged(
        &mut self,
        node: NodeId,
        vb: Vbid,
        branch: VbUuid,
        (persisted, whole): (Seqno, Seqno),
    ) {
        self.said.insert(
            (node, vb),
            Said {
                branch: Some(branch),
                persisted,
                whole,
            },
        );
    }

    /// Records the seqno that all copies of a vBucket have on disk. `branch` is the branch being
    /// written.
    pub(in crate::sim) fn all_copies(
        &mut self,
        vb: Vbid,
        branch: VbUuid,
        copies: impl Iterator<Item = NodeId>,
        history: &History,
    ) {
        let least = copies
            .map(|node| self.on_disk(node, vb, branch, history))
            .min()
            .expected("W21", "a vBucket has an active")
            // Nothing is acknowledged by all copies then, so the check of W9 is not weaker.
            .unwrap_or(Seqno::ZERO);
        if least > self.everywhere(vb) {
            self.everywhere.insert(vb, (branch, least));
        }
    }

    /// Returns the part of a branch that a copy acknowledged; nothing before its first
    /// acknowledgement.
    fn on_disk(&self, node: NodeId, vb: Vbid, branch: VbUuid, history: &History) -> Seqno {
        let said = self.said.get(&(node, vb)).copied().unwrap_or_default();
        said.branch.map_or(Seqno::ZERO, |of| {
            said.whole.min(history.shared(vb, of, branch))
        })
    }

    /// Returns `true` if a copy has on disk the seqno that all copies once had. A rebuilt copy may
    /// lack it.
    pub(in crate::sim) fn has_everything(
        &self,
        node: NodeId,
        vb: Vbid,
        branch: VbUuid,
        history: &History,
    ) -> bool {
        self.on_disk(node, vb, branch, history) >= self.everywhere(vb)
    }

    /// Returns the highest seqno that all copies of a vBucket acknowledged.
    pub(in crate::sim) fn everywhere(&self, vb: Vbid) -> Seqno {
        self.everywhere
            .get(&vb)
            .map_or(Seqno::ZERO, |&(_, seqno)| seqno)
    }

    /// Lowers the acknowledgement of a copy that was rolled back, reset or dropped.
    pub(in crate::sim) fn lowered(&mut self, node: NodeId, vb: Vbid, to: Seqno) {
        if let Some(said) = self.said.get_mut(&(node, vb)) {
            said.persisted = said.persisted.min(to);
            said.whole = said.whole.min(to);
        }
    }

    /// Checks the content of a copy on the disk of a restarted node.
    pub(in crate::sim) fn started(
        &mut self,
        node: NodeId,
        vb: Vbid,
        (high, whole): (Seqno, Seqno),
    ) {
        // A copy that said nothing may have anything.
        let said = self.said.get(&(node, vb)).copied().unwrap_or_default();
        self.verdict.check((high < said.persisted || whole < said.whole).then(|| {
            format!("node {node}, vBucket {vb}: said {said:?}, after a restart has {high}, whole to {whole}")
        }));
        self.said.insert(
            (node, vb),
            Said {
                persisted: high,
                whole,
                ..said
            },
        );
    }

    /// Checks the vBuckets on the disk of a restarted node. A missing one must have acknowledged
    /// nothing.
    pub(in crate::sim) fn found(&mut self, node: NodeId, is_there: impl Fn(Vbid) -> bool) {
        let of_node = (node, Vbid(0))..=(node, Vbid(u16::MAX));
        for (&(_, vb), said) in self
            .said
            .range_mut(of_node)
            .filter(|((_, vb), _)| !is_there(*vb))
        {
            let Said { persisted, .. } = std::mem::take(said);
            self.verdict.check((persisted > Seqno::ZERO).then(|| {
                format!("node {node}, vBucket {vb}: said {persisted}, after a restart has no such vBucket")
            }));
        }
    }

    /// Forgets the acknowledgements of a copy that was created again.
    pub(in crate::sim) fn made(&mut self, node: NodeId, vb: Vbid) {
        self.said.remove(&(node, vb));
    }

    /// Checks a new branch.
    pub(in crate::sim) fn branched(&mut self, vb: Vbid, branch: VbUuid, history: &History) {
        let Some(&(uuid, seqno)) = self.everywhere.get(&vb) else {
            // All copies together acknowledged nothing.
            return;
        };
        let shared = history.shared(vb, uuid, branch);
        self.verdict.check((shared < seqno).then(|| {
            format!(
                "vBucket {vb}: every copy had {seqno} on disk, the branch {branch} has it to {shared} only"
            )
        }));
    }

    pub(in crate::sim) fn verdict(self) -> InvariantVerdict {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VB: Vbid = Vbid(3);

    fn said(node: NodeId, upto: u64) -> Persisted {
        let mut persisted = Persisted::default();
        persisted.acknowledged(node, VB, VbUuid(1), (Seqno(upto), Seqno(upto)));
        persisted
    }

    /// Guards against a seed: a disk lost a whole vBucket, its node created an empty one, and the
    /// loss was reported only when the copy became active.
    #[test]
    fn vbucket_missing_after_a_restart_is_a_violation() {
        let told = |mut persisted: Persisted, is_there: bool| {
            persisted.found(1, |_| is_there);
            persisted.verdict().violations
        };
        assert_eq!(told(said(1, 7), false), 1);
        assert_eq!(told(said(1, 7), true), 0);
        assert_eq!(told(said(1, 0), false), 0, "it was empty");
        assert_eq!(told(said(2, 7), false), 0, "that is another node's");
        let mut dropped = said(1, 7);
        dropped.lowered(1, VB, Seqno::ZERO);
        assert_eq!(told(dropped, false), 0);
    }
}

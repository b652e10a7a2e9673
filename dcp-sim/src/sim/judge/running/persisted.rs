//! W9: what was acknowledged as persisted is there afterwards: on the node that said so, when it starts again, and in
//! every branch that begins, if all copies had said so.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use crate::node::NodeId;
use crate::sim::oracle::History;
use crate::sim::record::Verdict;

/// What each copy last said.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    branch: Option<VbUuid>,
    persisted: Seqno,
    whole: Seqno,
}

/// Looks at every acknowledgement, every start of a node and every branch.
#[derive(Debug)]
pub(in crate::sim) struct Persisted {
    said: BTreeMap<(NodeId, Vbid), Said>,
    /// The highest seqno that all copies of a vBucket had persisted, and its branch.
    everywhere: BTreeMap<Vbid, (VbUuid, Seqno)>,
    verdict: Verdict,
}

impl Default for Persisted {
    fn default() -> Self {
        let verdict = Verdict::new(
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
    /// A node's engine acknowledged, the copy being on that branch.
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

    /// These are all copies of a vBucket, of which that branch is being written: what all have is acknowledged to clients.
    pub(in crate::sim) fn all_copies(
        &mut self,
        vb: Vbid,
        branch: VbUuid,
        copies: impl Iterator<Item = NodeId>,
        history: &History,
    ) {
        let Some(least) = copies
            .map(|node| self.on_disk(node, vb, branch, history))
            .min()
        else {
            return;
        };
        if least > self.everywhere(vb) {
            self.everywhere.insert(vb, (branch, least));
        }
    }

    /// How much of a branch a copy said to have on disk.
    fn on_disk(&self, node: NodeId, vb: Vbid, branch: VbUuid, history: &History) -> Seqno {
        let said = self.said.get(&(node, vb)).copied().unwrap_or_default();
        said.branch.map_or(Seqno::ZERO, |of| {
            said.whole.min(history.shared(vb, of, branch))
        })
    }

    /// Whether a copy has on disk what all copies were said to have: one that was built anew may not have it yet.
    pub(in crate::sim) fn has_everything(
        &self,
        node: NodeId,
        vb: Vbid,
        branch: VbUuid,
        history: &History,
    ) -> bool {
        self.on_disk(node, vb, branch, history) >= self.everywhere(vb)
    }

    /// What all copies of a vBucket were said to have.
    pub(in crate::sim) fn everywhere(&self, vb: Vbid) -> Seqno {
        self.everywhere
            .get(&vb)
            .map_or(Seqno::ZERO, |&(_, seqno)| seqno)
    }

    /// A copy was rolled back, reset or dropped: it has no more than this.
    pub(in crate::sim) fn given_up(&mut self, node: NodeId, vb: Vbid, to: Seqno) {
        if let Some(said) = self.said.get_mut(&(node, vb)) {
            (said.persisted, said.whole) = (said.persisted.min(to), said.whole.min(to));
        }
    }

    /// A node started again and has that much on its disk.
    pub(in crate::sim) fn started(
        &mut self,
        node: NodeId,
        vb: Vbid,
        (high, whole): (Seqno, Seqno),
    ) {
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

    /// A node started again and has these vBuckets on its disk: of those it has not, it must have said nothing.
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

    /// A vBucket of which a copy acknowledged nothing: it was made anew.
    pub(in crate::sim) fn made(&mut self, node: NodeId, vb: Vbid) {
        self.said.remove(&(node, vb));
    }

    /// A branch began.
    pub(in crate::sim) fn branched(&mut self, vb: Vbid, branch: VbUuid, history: &History) {
        let Some(&(uuid, seqno)) = self.everywhere.get(&vb) else {
            return;
        };
        let shared = history.shared(vb, uuid, branch);
        self.verdict.check((shared < seqno).then(|| {
            format!(
                "vBucket {vb}: every copy had {seqno} on disk, the branch {branch} has it to {shared} only"
            )
        }));
    }

    pub(in crate::sim) fn verdict(self) -> Verdict {
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

    /// Found by a seed: a node whose disk had lost a whole vBucket was given an empty one, and nothing was told until the copy led.
    #[test]
    fn a_vbucket_that_is_not_there_after_a_restart_is_told() {
        let told = |mut persisted: Persisted, is_there: bool| {
            persisted.found(1, |_| is_there);
            persisted.verdict().violations
        };
        assert_eq!(told(said(1, 7), false), 1);
        assert_eq!(told(said(1, 7), true), 0);
        assert_eq!(told(said(1, 0), false), 0, "it was empty");
        assert_eq!(told(said(2, 7), false), 0, "that is another node's");
        let mut dropped = said(1, 7);
        dropped.given_up(1, VB, Seqno::ZERO);
        assert_eq!(told(dropped, false), 0);
    }
}

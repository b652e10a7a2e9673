//! W11: what a stream brings is its active's history: each item as it was written, and at each snapshot's end all of
//! it up to there. W12: no snapshot is left half while its stream goes on, no seqno comes twice, none goes back.
//! W13: after a rollback nothing is there that the history up to that seqno has not.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use crate::node::{NodeId, Observation, Partition, Stored};
use crate::sim::oracle::History;
use crate::sim::record::Verdict;

/// One copy that follows.
#[derive(Clone, Copy, Debug)]
struct Follower {
    branch: Option<VbUuid>,
    last: Seqno,
    /// Of the snapshot being received.
    start: Seqno,
    end: Seqno,
}

impl Follower {
    fn at(seqno: Seqno) -> Self {
        Self {
            branch: None,
            last: seqno,
            start: seqno,
            end: seqno,
        }
    }
}

/// Looks at everything that streams bring.
#[derive(Debug)]
pub(in crate::sim) struct Streams {
    followers: BTreeMap<(NodeId, Vbid), Follower>,
    contents: Verdict,
    order: Verdict,
    rollbacks: Verdict,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            followers: BTreeMap::new(),
            contents: Verdict::new(
                "W11",
                "a replica is a prefix of its active's history at each snapshot's end",
            ),
            order: Verdict::new(
                "W12",
                "snapshots come whole, and no seqno twice or out of order",
            ),
            rollbacks: Verdict::new("W13", "after a rollback nothing of a lost branch is left"),
        }
    }
}

impl Streams {
    pub(in crate::sim) fn observe(
        &mut self,
        node: NodeId,
        observation: &Observation,
        history: &History,
    ) {
        match *observation {
            Observation::Opened { vb, branch, seqno } => {
                let follower = Follower {
                    branch: Some(branch),
                    ..Follower::at(seqno)
                };
                self.followers.insert((node, vb), follower);
            }
            Observation::Marker { vb, marker } => {
                let follower = self.follower(node, vb);
                let before = *follower;
                (follower.start, follower.end) = (marker.start, marker.end);
                self.order.check((before.last < before.end).then(|| {
                    let (from, to) = (marker.start, marker.end);
                    format!("node {node}, vBucket {vb}: a snapshot {from} to {to} came in the middle of {before:?}")
                }));
            }
            Observation::Item {
                vb,
                seqno,
                revision,
                content,
            } => {
                let follower = self.follower(node, vb);
                let before = *follower;
                follower.last = seqno;
                let in_order = seqno > before.last && seqno >= before.start && seqno <= before.end;
                self.order.check(
                    (!in_order)
                        .then(|| format!("node {node}, vBucket {vb}: {seqno} came to {before:?}")),
                );
                self.item(node, vb, before, (seqno, revision, content), history);
            }
            Observation::RolledBack { vb, seqno } => *self.follower(node, vb) = Follower::at(seqno),
        }
    }

    /// A copy as its node finds it on its disk when it starts.
    pub(in crate::sim) fn started(
        &mut self,
        node: NodeId,
        vb: Vbid,
        stored: &Stored,
        history: &History,
    ) {
        let (Some(state), true) = (&stored.state, stored.whole() == stored.high) else {
            return;
        };
        let branch = state.failover_log.newest().uuid;
        let expected = history.content_at(vb, branch, stored.high);
        let found = stored.documents.content();
        self.contents.check((expected != Some(found)).then(|| {
            let high = stored.high;
            format!(
                "node {node}, vBucket {vb}: on disk at {high} of {branch} is {found:x}, not {expected:x?}"
            )
        }));
    }

    /// A rolled-back copy, as it is now.
    pub(in crate::sim) fn rolled_back(
        &mut self,
        node: NodeId,
        partition: &Partition,
        history: &History,
    ) {
        let (vb, point) = (partition.vbucket.id(), partition.vbucket.resume_point());
        if point.snapshot_end > point.seqno {
            return;
        }
        let expected = history.content_at(vb, point.uuid, point.seqno);
        let found = partition.documents.content();
        self.rollbacks.check((expected != Some(found)).then(|| {
            format!("node {node}, vBucket {vb}: at {point:?} it holds {found:x}, its history {expected:x?}")
        }));
    }

    /// Start and end of the snapshot that a copy is receiving, or has received last.
    pub(in crate::sim) fn received(&self, node: NodeId, vb: Vbid) -> Option<(Seqno, Seqno)> {
        self.followers
            .get(&(node, vb))
            .map(|follower| (follower.start, follower.end))
    }

    /// A copy follows nobody any more: what it has of a snapshot is its own history.
    pub(in crate::sim) fn leads(&mut self, node: NodeId, vb: Vbid) {
        self.followers.remove(&(node, vb));
    }

    fn item(
        &mut self,
        node: NodeId,
        vb: Vbid,
        follower: Follower,
        (seqno, revision, content): (Seqno, u64, u64),
        history: &History,
    ) {
        let Some(branch) = follower.branch else {
            self.contents.check(Some(format!(
                "node {node}, vBucket {vb}: {seqno} came without a stream"
            )));
            return;
        };
        let written = history.revision_at(vb, branch, seqno);
        let is_whole = seqno == follower.end;
        let expected =
            is_whole.then(|| history.content_at(vb, branch, seqno).unwrap_or(content ^ 1));
        let is_right =
            written == Some(revision) && expected.is_none_or(|expected| expected == content);
        self.contents.check((!is_right).then(|| {
            format!(
                "node {node}, vBucket {vb}, {branch}, {seqno}: revision {revision:x}, written was {written:x?}; \
                 content {content:x}, must be {expected:x?}"
            )
        }));
    }

    fn follower(&mut self, node: NodeId, vb: Vbid) -> &mut Follower {
        self.followers
            .entry((node, vb))
            .or_insert_with(|| Follower::at(Seqno::ZERO))
    }

    pub(in crate::sim) fn verdicts(self) -> [Verdict; 3] {
        [self.contents, self.order, self.rollbacks]
    }
}

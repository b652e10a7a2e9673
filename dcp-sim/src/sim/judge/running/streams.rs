//! W11: a stream delivers its active's history. Each item is the written one, and at each
//! snapshot's end everything up to it is present.
//!
//! W12: snapshots are complete as long as their stream continues, and seqnos rise. W13: after a
//! rollback nothing is left that the history up to that seqno lacks.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use crate::node::{NodeId, Observation, Partition, Stored};
use crate::sim::oracle::{Copies, Digests, History};
use crate::sim::record::InvariantVerdict;

/// One copy that follows an active.
#[derive(Clone, Copy, Debug)]
struct Follower {
    branch: Option<VbUuid>,
    last: Seqno,
    /// Range of the current snapshot.
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

/// Checks of everything that streams deliver.
#[derive(Debug)]
pub(in crate::sim) struct Streams {
    followers: BTreeMap<(NodeId, Vbid), Follower>,
    contents: InvariantVerdict,
    order: InvariantVerdict,
    rollbacks: InvariantVerdict,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            followers: BTreeMap::new(),
            contents: InvariantVerdict::new(
                "W11",
                "a replica is a prefix of its active's history at each snapshot's end",
            ),
            order: InvariantVerdict::new("W12", "snapshots are complete, and seqnos rise"),
            rollbacks: InvariantVerdict::new(
                "W13",
                "after a rollback nothing of a lost branch remains",
            ),
        }
    }
}

impl Streams {
    /// Checks an observation, and applies it to the copies.
    pub(in crate::sim) fn observe(
        &mut self,
        node: NodeId,
        observation: &Observation,
        copies: &mut Copies,
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
                let what = if before.branch.is_none() {
                    Some("without a stream, after")
                } else if before.last < before.end {
                    Some("in the middle of")
                } else {
                    None
                };
                self.order.check(what.map(|what| {
                    let from = marker.start;
                    let to = marker.end;
                    format!("node {node}, vBucket {vb}: a snapshot {from} to {to} came {what} {before:?}")
                }));
            }
            Observation::Item { vb, ref item } => {
                let copy = copies.at(node, vb);
                let (seqno, revision) = (item.seqno, copy.apply(item));
                let content = copy.content();
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
            Observation::RolledBack { vb, seqno } => {
                *self.follower(node, vb) = Follower::at(seqno);
                copies.went_back(node, vb);
            }
        }
    }

    /// Checks a copy on the disk of a starting node.
    pub(in crate::sim) fn started(
        &mut self,
        node: NodeId,
        vb: Vbid,
        stored: &Stored,
        documents: &Digests,
        history: &History,
    ) {
        let Some(state) = &stored.state else {
            // Every commit has a state.
            if stored.high > Seqno::ZERO {
                let high = stored.high;
                self.contents.check(Some(format!(
                    "node {node}, vBucket {vb}: on disk at {high} without a state"
                )));
            }
            return;
        };
        if stored.whole() != stored.high {
            // A snapshot that is there in part has no content that the history knows.
            return;
        }
        let branch = state.failover_log.newest().uuid;
        let expected = history.content_at(vb, branch, stored.high);
        let found = documents.content();
        self.contents.check((expected != Some(found)).then(|| {
            let high = stored.high;
            format!(
                "node {node}, vBucket {vb}: on disk at {high} of {branch} is {found:x}, not {expected:x?}"
            )
        }));
    }

    /// Checks a copy after its rollback.
    pub(in crate::sim) fn rolled_back(
        &mut self,
        node: NodeId,
        partition: &Partition,
        documents: &Digests,
        history: &History,
    ) {
        let vb = partition.vbucket.id();
        let point = partition.vbucket.resume_point();
        if point.snapshot_end > point.seqno {
            // A snapshot that is there in part has no content that the history knows.
            return;
        }
        let expected = history.content_at(vb, point.uuid, point.seqno);
        let found = documents.content();
        self.rollbacks.check((expected != Some(found)).then(|| {
            format!("node {node}, vBucket {vb}: at {point:?} it holds {found:x}, its history {expected:x?}")
        }));
    }

    /// Returns the range of a copy's current or last snapshot.
    pub(in crate::sim) fn received(&self, node: NodeId, vb: Vbid) -> Option<(Seqno, Seqno)> {
        self.followers
            .get(&(node, vb))
            .map(|follower| (follower.start, follower.end))
    }

    /// Forgets the snapshot of a copy that became active; its content is its own history.
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
        let is_written = written == Some(revision);
        // Inside a snapshot the copy has a content that the history does not know.
        let is_content = if seqno == follower.end {
            history.content_at(vb, branch, seqno) == Some(content)
        } else {
            true
        };
        self.contents.check((!(is_written && is_content)).then(|| {
            let expected = history.content_at(vb, branch, seqno);
            format!(
                "node {node}, vBucket {vb}, {branch}, {seqno}: revision {revision:x}, written was {written:x?}; \
                 content {content:x}, at the snapshot's end {} it must be {expected:x?}",
                follower.end
            )
        }));
    }

    /// Returns the follower of a copy. One without a stream has no branch: its items are violations.
    fn follower(&mut self, node: NodeId, vb: Vbid) -> &mut Follower {
        self.followers
            .entry((node, vb))
            .or_insert_with(|| Follower::at(Seqno::ZERO))
    }

    pub(in crate::sim) fn verdicts(self) -> [InvariantVerdict; 3] {
        [self.contents, self.order, self.rollbacks]
    }
}

//! W19: a foreign client has the documents of its branch at each snapshot's end, and everything at
//! rest. W20: every conclusion that the protocol allows it is true.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{FailoverEntry, Seqno, VbUuid, Vbid};

use crate::node::Node;
use crate::sim::foreign::{Client, Seen};
use crate::sim::oracle::{History, Sees};
use crate::sim::record::InvariantVerdict;

/// Checks of the observations of foreign clients.
#[derive(Debug)]
pub(in crate::sim) struct Foreign {
    /// Branch of each client's stream, if the history knows it.
    branches: BTreeMap<(usize, Vbid), VbUuid>,
    documents: InvariantVerdict,
    conclusions: InvariantVerdict,
}

impl Default for Foreign {
    fn default() -> Self {
        let documents = "a foreign client has its branch's documents at each snapshot's end, and everything at rest";
        let conclusions = "every conclusion that the protocol allows a foreign client is true";
        Self {
            branches: BTreeMap::new(),
            documents: InvariantVerdict::new("W19", documents),
            conclusions: InvariantVerdict::new("W20", conclusions),
        }
    }
}

impl Foreign {
    /// Checks an observation of a client that sees the collections `sees`.
    pub(in crate::sim) fn observe(
        &mut self,
        (client, vb, sees): (usize, Vbid, Sees),
        seen: &Seen,
        history: &History,
    ) {
        let place = (client, vb);
        let branch = self.branches.get(&place).copied();
        let content_at = |branch: Option<VbUuid>, seqno: Seqno| match branch {
            Some(branch) => history.content_seen_at(vb, branch, seqno, sees),
            None => (seqno == Seqno::ZERO).then_some(0),
        };
        // A promoted copy may have a part of a snapshot. Inside it a client may have received the
        // part on disk or the one in memory.
        let is_content = |branch: Option<VbUuid>, seqno: Seqno, content: u64| {
            let before = || history.content_before_branching(vb, branch?, seqno, sees);
            content_at(branch, seqno) == Some(content) || before() == Some(content)
        };
        let at = |what: String| format!("client {client}, vBucket {vb}, branch {branch:?}: {what}");
        match seen {
            Seen::Opened {
                log,
                seqno,
                content,
            } => {
                // A copy without data, or a new one, has a branch without writes.
                let known = known(vb, log, history);
                let expected = content_at(known, *seqno);
                let is_right = expected.is_some()
                    && content.is_none_or(|content| is_content(known, *seqno, content));
                self.conclusions.check((!is_right).then(|| {
                    at(format!(
                        "it goes on from {seqno} on {known:?} with {content:x?}, not {expected:x?}"
                    ))
                }));
                self.branches.remove(&place);
                self.branches.extend(known.map(|branch| (place, branch)));
            }
            Seen::Item { seqno, digest } => {
                let written = branch.and_then(|branch| history.revision_at(vb, branch, *seqno));
                let is_right = written == Some(*digest);
                self.documents.check(
                    (!is_right)
                        .then(|| at(format!("{seqno} is {digest:x}, written was {written:x?}"))),
                );
            }
            Seen::Whole { seqno, content } => {
                let expected = content_at(branch, *seqno);
                self.documents
                    .check((!is_content(branch, *seqno, *content)).then(|| {
                        at(format!(
                            "at the end {seqno} it has {content:x}, not {expected:x?}"
                        ))
                    }));
            }
            Seen::Concluded { upto, content } => {
                let expected = content_at(branch, *upto);
                self.conclusions
                    .check((expected != Some(*content)).then(|| {
                    at(format!(
                        "a marker says that it has all up to {upto}: {content:x}, not {expected:x?}"
                    ))
                }));
            }
            Seen::WentBack {
                requested,
                to,
                uuid,
                content,
            } => {
                let branch = if history.knows(vb, *uuid) {
                    Some(*uuid)
                } else {
                    branch
                };
                let expected = content_at(branch, *to);
                self.conclusions
                    .check((expected != Some(*content)).then(|| {
                    at(format!(
                        "rolled back to {requested}, at {to} it has {content:x}, not {expected:x?}"
                    ))
                }));
            }
            Seen::Broken(what) => self.conclusions.check(Some(at(what.clone()))),
        }
    }

    /// Records that a client closed its connection because of invalid bytes.
    pub(in crate::sim) fn unusable(&mut self, client: usize, what: &str) {
        self.conclusions
            .check(Some(format!("client {client}: {what}")));
    }

    /// Compares a client at rest with the copy that it follows, key by key.
    pub(in crate::sim) fn at_rest(
        &mut self,
        number: usize,
        client: &Client,
        (nodes, history, sees): (&[&Node], &History, Sees),
    ) -> Result<(), Violation> {
        for vb in client.vbuckets() {
            let standing = client.standing(vb)?;
            let at = |what: String| Some(format!("client {number}, vBucket {vb}: {what}"));
            let followed = standing
                .at
                .filter(|_| standing.is_open)
                .and_then(|node| nodes.get(node));
            let Some(copy) = followed.and_then(|node| node.partition(vb)) else {
                self.documents
                    .check(at(format!("it has no stream: {standing:?}")));
                continue;
            };
            let high = copy.vbucket.high_seqno();
            // Without Collections a client does not learn of hidden items.
            let is_there = standing.seqno == high || client.is_bare() && standing.seqno < high;
            let stands = is_there && standing.is_whole;
            self.documents.check(if stands {
                None
            } else {
                at(format!("{standing:?}, its copy at {high}"))
            });
            let written: BTreeMap<_, _> =
                history.live(vb)?.filter(|(key, _)| sees.key(key)).collect();
            for (key, &digest) in &written {
                let found = client.live(vb, key)?;
                let is_right = found == Some(digest);
                self.documents.check(if is_right {
                    None
                } else {
                    at(format!("{key}: {found:x?}, not {digest:x}"))
                });
            }
            let extra = client.first_unknown(vb, |key| written.contains_key(key))?;
            self.documents.check(
                extra.and_then(|key| at(format!("{key} was never written, deleted, or lost"))),
            );
        }
        Ok(())
    }

    pub(in crate::sim) fn verdicts(self) -> [InvariantVerdict; 2] {
        [self.documents, self.conclusions]
    }
}

/// Returns the newest branch of a log that has writes.
fn known(vb: Vbid, log: &[FailoverEntry], history: &History) -> Option<VbUuid> {
    log.iter()
        .map(|entry| entry.uuid)
        .find(|&uuid| history.knows(vb, uuid))
}

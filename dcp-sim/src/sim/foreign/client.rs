//! A foreign client as a whole: a position in each vBucket that it takes, and a connection to each node that it follows.
//!
//! In go bytes and lost connections; out come bytes, what was seen, and which vBuckets want a stream. What always
//! holds: a vBucket is followed at one node at most; a stream that ended, was refused or went back is asked for again from
//! where the client then stands, for whatever reason it ended.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Seqno, Vbid};

use super::documents::Revision;
use super::position::{Position, Seen};
use super::session::{Session, Told};
use super::temper::{Asks, Temper};
use crate::node::{Document, NodeId};
use crate::sim::oracle::Sees;
use crate::wire::{Status, StreamEndReason, StreamRequestFlags};

/// What a client wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Follow {
    /// Everything, without end.
    Live,
    /// Up to the snapshot that has that seqno.
    Upto(Seqno),
    /// What is on disk.
    Disk,
    /// What is there now.
    Latest,
}

/// What a host must know of what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) enum News {
    /// Something of a vBucket was seen.
    Seen(Vbid, Seen),
    /// A vBucket has no stream any more; the reason is one of the protocol's.
    Detached(Vbid, StreamEndReason),
    /// A vBucket was not given a stream; another time perhaps, or elsewhere.
    Refused(Vbid),
    /// The producer broke the protocol: the connection is of no use.
    Unusable(String),
}

/// One vBucket.
#[derive(Debug)]
struct Follower {
    position: Position,
    /// Where its stream is, or was asked for.
    at: Option<NodeId>,
}

/// A client.
#[derive(Debug)]
pub(in crate::sim) struct Client {
    name: String,
    temper: Temper,
    followers: BTreeMap<Vbid, Follower>,
    sessions: BTreeMap<NodeId, Session>,
}

impl Client {
    /// A client that has nothing yet and is to follow these vBuckets.
    pub(in crate::sim) fn new(
        name: String,
        temper: Temper,
        vbs: impl Iterator<Item = Vbid>,
    ) -> Self {
        let follower = |vb| {
            (
                vb,
                Follower {
                    position: Position::new(temper.keeps),
                    at: None,
                },
            )
        };
        Self {
            name,
            temper,
            followers: vbs.map(follower).collect(),
            sessions: BTreeMap::new(),
        }
    }

    /// The collections that it gets to see.
    pub(in crate::sim) fn sees(&self) -> Sees {
        self.temper.asks.sees()
    }

    /// Whether its connections know no collections.
    pub(in crate::sim) fn is_bare(&self) -> bool {
        self.temper.asks == Asks::Bare
    }

    pub(in crate::sim) fn temper(&self) -> &Temper {
        &self.temper
    }

    /// The vBuckets that have no stream and did not ask for one.
    pub(in crate::sim) fn detached(&self) -> Vec<Vbid> {
        self.followers
            .iter()
            .filter(|(_, follower)| follower.at.is_none())
            .map(|(&vb, _)| vb)
            .collect()
    }

    /// The vBuckets that it takes.
    pub(in crate::sim) fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.followers.keys().copied()
    }

    /// Nodes it is connected to.
    pub(in crate::sim) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.sessions.keys().copied()
    }

    pub(in crate::sim) fn is_connected(&self, node: NodeId) -> bool {
        self.sessions.contains_key(&node)
    }

    /// Where a vBucket's stream is, or was asked for; whether it is open; and where the client stands.
    pub(in crate::sim) fn standing(&self, vb: Vbid) -> Option<Standing> {
        let follower = self.followers.get(&vb)?;
        let session = follower.at.and_then(|node| self.sessions.get(&node));
        Some(Standing {
            at: follower.at,
            is_open: session.is_some_and(|session| session.is_open(vb)),
            seqno: follower.position.seqno(),
            snapshot: follower.position.snapshot(),
            is_whole: follower.position.is_whole(),
            documents: follower.position.documents().live_count(),
            content: follower.position.documents().content(),
        })
    }

    /// Digest of a live document.
    pub(in crate::sim) fn live(&self, vb: Vbid, key: &lowtide_checkpoint::Key) -> Option<u64> {
        self.followers.get(&vb)?.position.documents().live(key)
    }

    /// The first live document whose key `is_known` denies.
    pub(in crate::sim) fn first_unknown(
        &self,
        vb: Vbid,
        is_known: impl Fn(&lowtide_checkpoint::Key) -> bool,
    ) -> Option<lowtide_checkpoint::Key> {
        self.followers
            .get(&vb)?
            .position
            .documents()
            .first_unknown(is_known)
            .cloned()
    }

    /// A connection to a node was made.
    pub(in crate::sim) fn connected(&mut self, node: NodeId) {
        self.sessions
            .insert(node, Session::new(&self.name, &self.temper));
    }

    /// The connection to a node is gone. Returns whether there was one.
    pub(in crate::sim) fn disconnected(&mut self, node: NodeId) -> bool {
        for follower in self
            .followers
            .values_mut()
            .filter(|follower| follower.at == Some(node))
        {
            follower.at = None;
        }
        self.sessions.remove(&node).is_some()
    }

    /// Asks a node that it is connected to for a vBucket.
    pub(in crate::sim) fn ask(&mut self, vb: Vbid, node: NodeId, follow: Follow) {
        let (Some(follower), Some(session)) =
            (self.followers.get_mut(&vb), self.sessions.get_mut(&node))
        else {
            return;
        };
        follower.at = Some(node);
        let (end, flags) = match follow {
            Follow::Live => (Seqno::MAX, StreamRequestFlags::NONE),
            Follow::Upto(end) => (end, StreamRequestFlags::NONE),
            Follow::Disk => (Seqno::MAX, StreamRequestFlags::DISK_ONLY),
            Follow::Latest => (Seqno::MAX, StreamRequestFlags::TO_LATEST),
        };
        let strict = if self.temper.strict_uuid {
            StreamRequestFlags::STRICT_VB_UUID
        } else {
            StreamRequestFlags::NONE
        };
        let at = follower.position.resume(self.temper.manners);
        session.request(vb, at, end, flags.with(strict));
    }

    /// Asks for the end of a vBucket's stream. Returns whether it is open.
    pub(in crate::sim) fn close(&mut self, vb: Vbid) -> bool {
        let node = self.followers.get(&vb).and_then(|follower| follower.at);
        let session = node.and_then(|node| self.sessions.get_mut(&node));
        session.is_some_and(|session| session.close(vb))
    }

    /// Takes bytes from a node.
    pub(in crate::sim) fn receive(&mut self, node: NodeId, bytes: &[u8]) -> Vec<News> {
        let Some(session) = self.sessions.get_mut(&node) else {
            return Vec::new();
        };
        let told = match session.receive(bytes) {
            Ok(told) => told,
            Err(what) => return vec![News::Unusable(what)],
        };
        let mut news = Vec::new();
        for (vb, told) in told {
            self.heed(vb, told, &mut news);
        }
        news
    }

    /// Takes the bytes to send to a node.
    pub(in crate::sim) fn take_output(&mut self, node: NodeId) -> Bytes {
        self.sessions
            .get_mut(&node)
            .map(Session::take_output)
            .unwrap_or_default()
    }

    fn heed(&mut self, vb: Vbid, told: Told, news: &mut Vec<News>) {
        let Some(follower) = self.followers.get_mut(&vb) else {
            return;
        };
        let position = &mut follower.position;
        let seen = match told {
            Told::Opened(log) => vec![position.opened(log)],
            Told::Marker(marker) => Vec::from_iter(position.begin(marker)),
            Told::Advanced(seqno) => position.advance(seqno),
            Told::Item(item) => {
                let document = Document::of(&item);
                let revision = Revision {
                    digest: document.digest(&item.key),
                    is_live: document.value.is_some(),
                };
                position.item(item.seqno, &item.key, revision)
            }
            Told::Rollback(seqno) => {
                follower.at = None;
                let seen = position.go_back(seqno, self.temper.manners);
                news.extend(seen.into_iter().map(|seen| News::Seen(vb, seen)));
                news.push(News::Detached(vb, StreamEndReason::Rollback));
                return;
            }
            Told::Refused(status) => {
                follower.at = None;
                news.extend(refusal(status).map(|what| News::Seen(vb, Seen::Broken(what))));
                news.push(News::Refused(vb));
                return;
            }
            Told::Ended(reason) => {
                follower.at = None;
                news.push(News::Detached(
                    vb,
                    reason.unwrap_or(StreamEndReason::Closed),
                ));
                return;
            }
        };
        news.extend(seen.into_iter().map(|seen| News::Seen(vb, seen)));
    }
}

/// What is wrong with a refusal, if anything.
fn refusal(status: Status) -> Option<String> {
    match status {
        // A copy that knows the client's branch, or its disk, may not be as far as the client is.
        Status::RANGE => None,
        Status::NOT_MY_VBUCKET | Status::OUT_OF_MEMORY | Status::TEMPORARY_FAILURE => None,
        _ => Some(format!("a stream was refused: {status}")),
    }
}

/// How a client stands in a vBucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Standing {
    pub(in crate::sim) at: Option<NodeId>,
    pub(in crate::sim) is_open: bool,
    pub(in crate::sim) seqno: Seqno,
    pub(in crate::sim) snapshot: (Seqno, Seqno),
    pub(in crate::sim) is_whole: bool,
    /// Live documents.
    pub(in crate::sim) documents: usize,
    /// The sum of their digests.
    pub(in crate::sim) content: u64,
}

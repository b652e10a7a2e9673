//! One foreign client: a position in each of its vBuckets, and a connection to each node that it
//! follows.
//!
//! It consumes bytes and lost connections. It produces bytes, observations, and the list of
//! vBuckets without a stream.
//!
//! # Invariants
//!
//! - A vBucket is followed on at most one node.
//! - After a stream ended, was refused or was rolled back, it is requested again from the client's
//!   position, for any reason of the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Key, Seqno, Vbid};

use super::documents::Revision;
use super::position::{Position, Seen};
use super::session::{Received, Session};
use super::temper::{Asks, Temper};
use crate::node::NodeId;
use crate::sim::oracle::{Document, Sees};
use crate::wire::{Status, StreamEndReason, StreamRequestFlags};

/// Extent of a stream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Follow {
    /// Everything, without end.
    Live,
    /// Up to the snapshot that contains that seqno.
    Upto(Seqno),
    /// Items on disk.
    Disk,
    /// Items that exist at the time of the request.
    Latest,
}

/// Result of received bytes, for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) enum News {
    /// Observation of a vBucket.
    Seen(Vbid, Seen),
    /// A vBucket lost its stream; the reason is one of the protocol's.
    Detached(Vbid, StreamEndReason),
    /// The stream request of a vBucket was refused.
    Refused(Vbid),
    /// The producer violated the protocol: the connection is unusable.
    Unusable(String),
}

/// One vBucket.
#[derive(Debug)]
struct Follower {
    position: Position,
    /// Node of its stream or stream request.
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
    /// Creates a client of these vBuckets, without data.
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

    /// Returns the collections that it sees.
    pub(in crate::sim) fn sees(&self) -> Sees {
        self.temper.asks.sees()
    }

    /// Returns `true` if its connections do not enable collections.
    pub(in crate::sim) fn is_bare(&self) -> bool {
        self.temper.asks == Asks::Bare
    }

    pub(in crate::sim) fn temper(&self) -> &Temper {
        &self.temper
    }

    /// Returns the vBuckets without a stream or stream request.
    pub(in crate::sim) fn detached(&self) -> Vec<Vbid> {
        self.followers
            .iter()
            .filter(|(_, follower)| follower.at.is_none())
            .map(|(&vb, _)| vb)
            .collect()
    }

    /// Returns its vBuckets.
    pub(in crate::sim) fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.followers.keys().copied()
    }

    /// Returns the nodes to which it is connected.
    pub(in crate::sim) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.sessions.keys().copied()
    }

    pub(in crate::sim) fn is_connected(&self, node: NodeId) -> bool {
        self.sessions.contains_key(&node)
    }

    /// Returns the state of one vBucket.
    pub(in crate::sim) fn standing(&self, vb: Vbid) -> Result<Standing, Violation> {
        let follower = self.follower(vb)?;
        let session = follower.at.and_then(|node| self.sessions.get(&node));
        Ok(Standing {
            at: follower.at,
            is_open: session.is_some_and(|session| session.is_open(vb)),
            seqno: follower.position.seqno(),
            snapshot: follower.position.snapshot(),
            is_whole: follower.position.is_whole(),
            documents: follower.position.documents().live_count(),
            content: follower.position.documents().content(),
        })
    }

    /// Returns the digest of a live document.
    pub(in crate::sim) fn live(&self, vb: Vbid, key: &Key) -> Result<Option<u64>, Violation> {
        Ok(self.follower(vb)?.position.documents().live(key))
    }

    /// Returns the first live document with a key that `is_known` denies.
    pub(in crate::sim) fn first_unknown(
        &self,
        vb: Vbid,
        is_known: impl Fn(&Key) -> bool,
    ) -> Result<Option<Key>, Violation> {
        let documents = self.follower(vb)?.position.documents();
        Ok(documents.first_unknown(is_known).cloned())
    }

    fn follower(&self, vb: Vbid) -> Result<&Follower, Violation> {
        self.followers
            .get(&vb)
            .invariant("W21", "the vBucket is one of the client's")
    }

    /// Opens a connection to a node.
    pub(in crate::sim) fn connected(&mut self, node: NodeId) {
        self.sessions
            .insert(node, Session::new(&self.name, &self.temper));
    }

    /// Removes the connection to a node. Returns `true` if there was one.
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

    /// Requests a vBucket's stream from a connected node.
    pub(in crate::sim) fn ask(
        &mut self,
        vb: Vbid,
        node: NodeId,
        follow: Follow,
    ) -> Result<(), Violation> {
        let follower = self
            .followers
            .get_mut(&vb)
            .invariant("W21", "the vBucket is one of the client's")?;
        let session = self
            .sessions
            .get_mut(&node)
            .invariant("W21", "a client requests streams on its connections")?;
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
        Ok(())
    }

    /// Requests the end of a vBucket's stream. Returns `true` if it is open.
    pub(in crate::sim) fn close(&mut self, vb: Vbid) -> bool {
        let node = self.followers.get(&vb).and_then(|follower| follower.at);
        let session = node.and_then(|node| self.sessions.get_mut(&node));
        session.is_some_and(|session| session.close(vb))
    }

    /// Processes bytes from a node.
    pub(in crate::sim) fn receive(
        &mut self,
        node: NodeId,
        bytes: &[u8],
    ) -> Result<Vec<News>, Violation> {
        let session = self
            .sessions
            .get_mut(&node)
            .invariant("W21", "a client receives on its connections")?;
        let received = match session.receive(bytes) {
            Ok(received) => received,
            Err(what) => return Ok(vec![News::Unusable(what)]),
        };
        let mut news = Vec::new();
        for (vb, received) in received {
            self.handle(vb, received, &mut news)?;
        }
        Ok(news)
    }

    /// Takes the bytes to send to a node; none without a connection to it.
    pub(in crate::sim) fn take_output(&mut self, node: NodeId) -> Bytes {
        self.sessions
            .get_mut(&node)
            .map(Session::take_output)
            .unwrap_or_default()
    }

    fn handle(
        &mut self,
        vb: Vbid,
        received: Received,
        news: &mut Vec<News>,
    ) -> Result<(), Violation> {
        let follower = self
            .followers
            .get_mut(&vb)
            .invariant("W21", "a client has streams of its vBuckets alone")?;
        let position = &mut follower.position;
        let seen = match received {
            Received::Opened(log) => vec![position.opened(log)],
            Received::Marker(marker) => Vec::from_iter(position.begin(marker)),
            Received::Advanced(seqno) => position.advance(seqno),
            Received::Item(item) => {
                let document = Document::of(&item);
                let revision = Revision {
                    digest: document.digest(&item.key),
                    is_live: document.value.is_some(),
                };
                position.item(item.seqno, &item.key, revision)
            }
            Received::Rollback(seqno) => {
                follower.at = None;
                let seen = position.roll_back(seqno, self.temper.manners);
                news.extend(seen.into_iter().map(|seen| News::Seen(vb, seen)));
                news.push(News::Detached(vb, StreamEndReason::Rollback));
                return Ok(());
            }
            Received::Refused(status) => {
                follower.at = None;
                news.extend(refusal(status).map(|what| News::Seen(vb, Seen::Broken(what))));
                news.push(News::Refused(vb));
                return Ok(());
            }
            Received::Ended(reason) => {
                follower.at = None;
                news.push(News::Detached(
                    vb,
                    reason.unwrap_or(StreamEndReason::Closed),
                ));
                return Ok(());
            }
        };
        news.extend(seen.into_iter().map(|seen| News::Seen(vb, seen)));
        Ok(())
    }
}

/// Returns the violation of a refusal, if any.
fn refusal(status: Status) -> Option<String> {
    match status {
        // A copy that knows the client's branch, or its disk, may be behind the client.
        Status::RANGE => None,
        Status::NOT_MY_VBUCKET | Status::OUT_OF_MEMORY | Status::TEMPORARY_FAILURE => None,
        _ => Some(format!("a stream request was refused: {status}")),
    }
}

/// State of a client's vBucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Standing {
    pub(in crate::sim) at: Option<NodeId>,
    pub(in crate::sim) is_open: bool,
    pub(in crate::sim) seqno: Seqno,
    pub(in crate::sim) snapshot: (Seqno, Seqno),
    pub(in crate::sim) is_whole: bool,
    /// Number of live documents.
    pub(in crate::sim) documents: usize,
    /// Sum of their digests.
    pub(in crate::sim) content: u64,
}

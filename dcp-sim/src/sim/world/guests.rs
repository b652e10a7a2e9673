//! Foreign clients in the world: how many there are, which nodes they follow, and what they do when a stream is over.
//!
//! They have a network and streams of chance of their own: neither the nodes' delays nor the faults' strikes depend on
//! them. What always holds: a client that lacks a stream looks for one until it has it; after the time for faults it
//! asks for live streams only; a client without anything to read or to ask causes no event.

use std::collections::BTreeMap;

use bytes::BytesMut;
use lowtide_checkpoint::{Key, Vbid};

use crate::node::NodeId;
use crate::sim::config::ClusterConfig;
use crate::sim::foreign::{Client, Temper};
use crate::sim::hardware::{Links, Network};
use crate::sim::judge::Foreign;
use crate::sim::record::ClientFigures;
use crate::sim::rng::SimRng;

/// Most clients that a seed draws.
const DRAWN_MAX: u64 = 3;
/// The streams of the seed: for the cluster, the network, and from there on one for each client.
const STREAM: u64 = 1_000;
const NETWORK: u64 = 1_001;
const FIRST: u64 = 1_010;
/// Their names as peers: no node has such a number.
const FIRST_PEER: NodeId = 1 << 16;
/// The collection that a part of the keys is in, where there are two.
const OTHER_COLLECTION: u32 = 8;
/// One key in so many.
const OTHER_KEYS: u32 = 4;

/// A client and what its host knows of it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) client: Client,
    pub(super) rng: SimRng,
    /// What has arrived and was not read, by node.
    pub(super) inboxes: BTreeMap<NodeId, Inbox>,
    pub(super) is_look_due: bool,
    /// Until then it reads nothing.
    pub(super) stalled_micros: u64,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) bytes: BytesMut,
    pub(super) is_read_due: bool,
}

/// All foreign clients of a run.
#[derive(Debug, Default)]
pub(in crate::sim) struct ForeignClients {
    pub(super) guests: Vec<Guest>,
    pub(super) links: Links,
    pub(super) network: Network,
    /// What the network draws from; none where there is no client.
    pub(super) rng: Option<SimRng>,
    pub(super) judge: Foreign,
    pub(super) figures: ClientFigures,
    has_two_collections: bool,
}

impl ForeignClients {
    /// As many as the configuration says; none in a run without faults.
    pub(super) fn new(config: &ClusterConfig) -> Self {
        let mut rng = SimRng::stream(config.seed, STREAM);
        let drawn = rng.range(1, DRAWN_MAX) as usize;
        let has_two_collections = rng.range(0, 1) == 1;
        let count = if config.faults.is_some() {
            config.clients.unwrap_or(drawn)
        } else {
            0
        };
        if count == 0 {
            return Self::default();
        }
        let guests = (0..count).map(|number| {
            let mut rng = SimRng::stream(config.seed, FIRST + number as u64);
            let temper = Temper::draw(&mut rng);
            let any = rng.below(usize::from(config.vbuckets)) as u16;
            let vbs =
                (0..config.vbuckets).filter(|&vb| rng.permille(temper.share_permille) || vb == any);
            let vbs: Vec<_> = vbs.map(Vbid).collect();
            let client = Client::new(format!("connector:{number}"), temper, vbs.into_iter());
            Guest {
                client,
                rng,
                inboxes: BTreeMap::new(),
                is_look_due: false,
                stalled_micros: 0,
            }
        });
        Self {
            guests: guests.collect(),
            rng: Some(SimRng::stream(config.seed, NETWORK)),
            figures: ClientFigures {
                clients: count as u64,
                ..ClientFigures::default()
            },
            has_two_collections,
            ..Self::default()
        }
    }

    /// The key under which a client's write goes to its vBucket.
    pub(super) fn key(&self, user: &[u8]) -> Key {
        let is_other = self.has_two_collections && crc32fast::hash(user).is_multiple_of(OTHER_KEYS);
        if is_other {
            Key::in_collection(OTHER_COLLECTION, user)
        } else {
            Key::new(user)
        }
    }

    /// The client that a peer's number names, if it is none of a node.
    pub(super) fn number(peer: NodeId) -> Option<usize> {
        peer.checked_sub(FIRST_PEER)
    }

    pub(in crate::sim) fn figures(&self) -> &ClientFigures {
        &self.figures
    }

    /// The clients, by number.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.guests.iter().map(|guest| &guest.client)
    }
}

pub(super) fn peer(client: usize) -> NodeId {
    FIRST_PEER + client
}

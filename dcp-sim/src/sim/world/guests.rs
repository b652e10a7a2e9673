//! Foreign clients of a run, with the host's state of each: inboxes, network and random streams.

use std::collections::BTreeMap;

use bytes::BytesMut;
use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Key, Vbid};

use crate::node::NodeId;
use crate::sim::config::ClusterConfig;
use crate::sim::foreign::{Client, Temper};
use crate::sim::hardware::{Links, Network};
use crate::sim::judge::Foreign;
use crate::sim::record::ClientFigures;
use crate::sim::rng::SimRng;

/// Largest number of clients that a seed draws.
const DRAWN_MAX: u64 = 3;
/// Streams of the seed: for the number of clients, for the network, and from `FIRST` on one for
/// each client.
const STREAM: u64 = 1_000;
const NETWORK: u64 = 1_001;
const FIRST: u64 = 1_010;
/// Peer number of the first client; no node has such a number.
const FIRST_PEER: NodeId = 1 << 16;
/// Collection of a part of the keys, in runs with two collections.
const OTHER_COLLECTION: u32 = 8;
/// One of this number of keys is in that collection.
const OTHER_KEYS: u32 = 4;

/// A client with its host's state.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) client: Client,
    pub(super) rng: SimRng,
    /// Bytes that arrived and were not read, by node.
    pub(super) inboxes: BTreeMap<NodeId, Inbox>,
    pub(super) is_look_due: bool,
    /// Time until which it reads nothing.
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
    /// Random numbers of the network; `None` without clients.
    pub(super) rng: Option<SimRng>,
    pub(super) judge: Foreign,
    pub(super) figures: ClientFigures,
    has_two_collections: bool,
}

impl ForeignClients {
    /// Creates the configured number of clients; none in a run without faults.
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
            let any = rng.vbucket(config.vbuckets);
            let mut follows = |vb: &Vbid| rng.permille(temper.share_permille) || *vb == any;
            let vbs: Vec<_> = (0..config.vbuckets)
                .map(Vbid)
                .filter(&mut follows)
                .collect();
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

    /// Returns the key of a client's write.
    pub(super) fn key(&self, user: &[u8]) -> Key {
        let is_other = self.has_two_collections && crc32fast::hash(user).is_multiple_of(OTHER_KEYS);
        if is_other {
            Key::in_collection(OTHER_COLLECTION, user)
        } else {
            Key::new(user)
        }
    }

    /// Returns the client with that peer number, or `None` for a node.
    pub(super) fn number(peer: NodeId) -> Option<usize> {
        peer.checked_sub(FIRST_PEER)
    }

    pub(in crate::sim) fn figures(&self) -> &ClientFigures {
        &self.figures
    }

    /// Returns a client that an event names.
    pub(super) fn guest_mut(&mut self, client: usize) -> Result<&mut Guest, Violation> {
        self.guests
            .get_mut(client)
            .invariant("W21", "the client is one of the run's")
    }

    /// Returns the clients, by number.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.guests.iter().map(|guest| &guest.client)
    }
}

pub(super) fn peer(client: usize) -> NodeId {
    FIRST_PEER + client
}

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
use crate::sim::error::SimError;
use crate::sim::foreign::{Client, Follow, News, Prefers, Seen, Temper};
use crate::sim::hardware::{LinkId, Links, Network};
use crate::sim::judge::Foreign;
use crate::sim::oracle::Sees;
use crate::sim::record::{ClientFigures, Verdict};
use crate::sim::rng::SimRng;
use crate::sim::world::state::{Due, World};

/// Most clients that a seed draws.
const DRAWN_MAX: u64 = 3;
/// The streams of the seed: for the cluster, the network, and from there on one for each client.
const STREAM: u64 = 1_000;
const NETWORK: u64 = 1_001;
const FIRST: u64 = 1_010;
/// Their names as peers: no node has such a number.
const FIRST_PEER: NodeId = 1 << 16;
/// A client that found nobody to follow looks again after this time.
const LOOK_MICROS: u64 = 5_000;
/// Seqnos a client wants at most that does not want all.
const UPTO_SEQNOS: u64 = 60;
/// The collection that a part of the keys is in, where there are two.
const OTHER_COLLECTION: u32 = 8;
/// One key in so many.
const OTHER_KEYS: u32 = 4;

/// What happens to a foreign client.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Turn {
    /// It looks for nodes to follow.
    Look(usize),
    /// Bytes arrive at an end of its connection.
    Arrive { link: LinkId, to_client: bool },
    /// It reads what has arrived from a node.
    Read { client: usize, node: NodeId },
    /// An end of its connection learns that it is lost.
    Notice { link: LinkId, is_client: bool },
    /// Something goes wrong with it, or it changes its mind.
    Whim(usize),
    /// A way opens again.
    Open { from: NodeId, to: NodeId },
    /// A direction is as fast as ever.
    Speed { from: NodeId, to: NodeId },
}

/// A client and what its host knows of it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) client: Client,
    pub(super) rng: SimRng,
    /// What has arrived and was not read, by node.
    pub(super) inboxes: BTreeMap<NodeId, Inbox>,
    is_look_due: bool,
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
    judge: Foreign,
    pub(super) figures: ClientFigures,
    has_two_collections: bool,
}

impl ForeignClients {
    /// As many as the configuration says; none in a run without faults.
    pub(in crate::sim::world) fn new(config: &ClusterConfig) -> Self {
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
    pub(in crate::sim::world) fn key(&self, user: &[u8]) -> Key {
        let is_other = self.has_two_collections && crc32fast::hash(user).is_multiple_of(OTHER_KEYS);
        if is_other {
            Key::in_collection(OTHER_COLLECTION, user)
        } else {
            Key::new(user)
        }
    }

    /// The client that a peer's number names, if it is none of a node.
    pub(in crate::sim::world) fn number(peer: NodeId) -> Option<usize> {
        peer.checked_sub(FIRST_PEER)
    }

    pub(in crate::sim) fn figures(&self) -> &ClientFigures {
        &self.figures
    }

    /// The clients, by number.
    pub(in crate::sim::world) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.guests.iter().map(|guest| &guest.client)
    }
}

pub(super) fn peer(client: usize) -> NodeId {
    FIRST_PEER + client
}

impl World {
    /// From here on foreign clients follow, and what is theirs goes wrong.
    pub(in crate::sim::world) fn begin_foreign(&mut self) {
        for client in 0..self.foreign.guests.len() {
            self.look_soon(client, 0);
            self.whim_later(client);
        }
    }

    pub(in crate::sim::world) fn foreign(&mut self, turn: Turn) -> Result<(), SimError> {
        match turn {
            Turn::Look(client) => self.look(client),
            Turn::Arrive { link, to_client } => self.arrive_foreign(link, to_client),
            Turn::Read { client, node } => self.read_foreign(client, node),
            Turn::Notice { link, is_client } => self.notice_foreign(link, is_client),
            Turn::Whim(client) => self.whim(client),
            Turn::Open { from, to } => {
                self.open_foreign(from, to);
                Ok(())
            }
            Turn::Speed { from, to } => {
                self.foreign.network.slow_down((from, to), 0);
                Ok(())
            }
        }
    }

    pub(super) fn foreign_later(&mut self, micros: u64, turn: Turn) {
        self.clock.schedule(micros, Due::Foreign(turn));
    }

    pub(super) fn look_soon(&mut self, client: usize, micros: u64) {
        let guest = self
            .foreign
            .guests
            .get_mut(client)
            .filter(|guest| !guest.is_look_due);
        if let Some(guest) = guest {
            guest.is_look_due = true;
            self.foreign_later(micros, Turn::Look(client));
        }
    }

    /// A client finds a node for each vBucket that it has no stream of.
    fn look(&mut self, client: usize) -> Result<(), SimError> {
        let Some(guest) = self.foreign.guests.get_mut(client) else {
            return Ok(());
        };
        guest.is_look_due = false;
        let mut nodes = Vec::new();
        for vb in guest.client.detached() {
            match self.choose(client, vb) {
                Some(node) => {
                    self.ask_foreign(client, vb, node);
                    nodes.push(node);
                }
                None => self.look_soon(client, LOOK_MICROS),
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            self.speak_foreign(client, node);
        }
        Ok(())
    }

    /// A copy that the client likes and can reach.
    fn choose(&mut self, client: usize, vb: Vbid) -> Option<NodeId> {
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let prefers = self.foreign.guests.get(client)?.client.temper().prefers;
        let copies = match prefers {
            Prefers::Replicas if !replicas.is_empty() => replicas,
            Prefers::Actives | Prefers::Replicas => vec![self.topology.active(vb)],
            Prefers::Any => self.topology.copies_of(vb).collect(),
        };
        let mut copies = copies;
        copies.retain(|&node| self.is_reachable(node) && self.can_reach_foreign(client, node));
        let guest = self.foreign.guests.get_mut(client)?;
        copies.get(guest.rng.below(copies.len())).copied()
    }

    fn ask_foreign(&mut self, client: usize, vb: Vbid, node: NodeId) {
        let is_calm = self
            .chaos
            .as_ref()
            .is_none_or(|chaos| chaos.calm_micros.is_some());
        let is_new = self
            .foreign
            .guests
            .get(client)
            .is_some_and(|guest| !guest.client.is_connected(node));
        if is_new {
            self.connect_foreign(client, node);
        }
        let Some(guest) = self.foreign.guests.get_mut(client) else {
            return;
        };
        let wants_detour = guest.client.temper().wants_detour(&mut guest.rng);
        let seqno = guest
            .client
            .standing(vb)
            .map(|standing| standing.seqno)
            .unwrap_or_default();
        let follow = match guest.rng.range(0, 2) {
            _ if is_calm || !wants_detour => Follow::Live,
            0 => Follow::Upto(lowtide_checkpoint::Seqno(
                seqno.0 + guest.rng.range(1, UPTO_SEQNOS),
            )),
            1 => Follow::Disk,
            _ => Follow::Latest,
        };
        guest.client.ask(vb, node, follow);
        self.foreign.figures.streams += 1;
    }

    /// A client has read something of a node's.
    pub(super) fn heed_foreign(
        &mut self,
        client: usize,
        node: NodeId,
        news: Vec<News>,
    ) -> Result<(), SimError> {
        for news in news {
            match news {
                News::Seen(vb, seen) => self.judge_foreign(client, vb, &seen),
                News::Detached(_, reason) => {
                    *self.foreign.figures.ends.entry(reason.name()).or_default() += 1;
                    self.look_soon(client, LOOK_MICROS / 10);
                }
                News::Refused(_) => {
                    self.foreign.figures.refused += 1;
                    self.look_soon(client, LOOK_MICROS);
                }
                News::Unusable(what) => {
                    self.foreign.judge.unusable(client, &what);
                    if let Some(link) = self.foreign.links.current((node, peer(client))) {
                        self.lose_foreign(link)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn judge_foreign(&mut self, client: usize, vb: Vbid, seen: &Seen) {
        let Some(chaos) = &self.chaos else { return };
        let figures = &mut self.foreign.figures;
        match seen {
            Seen::Item { .. } => figures.items += 1,
            Seen::WentBack { to, .. } => {
                figures.rollbacks += 1;
                figures.started_over += u64::from(*to == lowtide_checkpoint::Seqno::ZERO);
            }
            _ => {}
        }
        let sees = self
            .foreign
            .guests
            .get(client)
            .map_or(Sees::Everything, |guest| guest.client.sees());
        self.foreign
            .judge
            .observe((client, vb, sees), seen, &chaos.history);
    }

    /// W19 and W20, once everything is at rest.
    pub(in crate::sim) fn foreign_verdicts(&mut self) -> Vec<Verdict> {
        if self.foreign.guests.is_empty() {
            return Vec::new();
        }
        let mut judge = std::mem::take(&mut self.foreign.judge);
        let nodes = self.nodes();
        if let Some(chaos) = &self.chaos {
            for (number, client) in self.foreign.clients().enumerate() {
                judge.at_rest(number, client, (&nodes, &chaos.history, client.sees()));
            }
        }
        judge.verdicts().into()
    }
}

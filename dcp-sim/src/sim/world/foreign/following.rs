//! Search of foreign clients for nodes, and the judgement of their observations.

use lowtide_checkpoint::Vbid;

use crate::node::NodeId;
use crate::sim::error::SimError;
use crate::sim::foreign::{Follow, News, Prefers, Seen};
use crate::sim::oracle::Sees;
use crate::sim::record::Verdict;
use crate::sim::world::due::{Due, Turn};
use crate::sim::world::guests::peer;
use crate::sim::world::state::World;

/// Interval of the search for a node to follow.
const LOOK_MICROS: u64 = 5_000;

/// Largest number of further seqnos that a client with an end requests.
const UPTO_SEQNOS: u64 = 60;

impl World {
    /// Starts all foreign clients, and their faults.
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

    /// Chooses a node for each vBucket of a client that has no stream.
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

    /// Returns a reachable copy that the client prefers.
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

    /// Handles the news that a client read.
    pub(super) fn handle_news(
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

    /// Returns the verdicts on W19 and W20 at rest.
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

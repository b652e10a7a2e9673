//! Search of foreign clients for nodes, and the judgement of their observations.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Violation;

use crate::node::NodeId;
use crate::sim::error::SimError;
use crate::sim::foreign::{Follow, News, Prefers, Seen};
use crate::sim::record::InvariantVerdict;
use crate::sim::world::chaos;
use crate::sim::world::due::{Due, Turn};
use crate::sim::world::guests::peer;
use crate::sim::world::state::World;

/// Interval of the search for a node to follow.
const LOOK_MICROS: u64 = 5_000;

/// Largest number of further seqnos that a client with an end requests.
const UPTO_SEQNOS: u64 = 60;

impl World {
    /// Starts all foreign clients, and their faults.
    pub(in crate::sim::world) fn begin_foreign(&mut self) -> Result<(), SimError> {
        for client in 0..self.foreign.guests.len() {
            self.look_soon(client, 0)?;
            self.whim_later(client)?;
        }
        Ok(())
    }

    pub(in crate::sim::world) fn foreign(&mut self, turn: Turn) -> Result<(), SimError> {
        match turn {
            Turn::Look(client) => self.look(client),
            Turn::Arrive { link, to_client } => self.arrive_foreign(link, to_client),
            Turn::Read { client, node } => self.read_foreign(client, node),
            Turn::Notice { link, is_client } => self.notice_foreign(link, is_client),
            Turn::Whim(client) => self.whim(client),
            Turn::Open { from, to } => self.open_foreign(from, to),
            Turn::Speed { from, to } => {
                self.foreign.network.slow_down((from, to), 0);
                Ok(())
            }
        }
    }

    pub(super) fn foreign_later(&mut self, micros: u64, turn: Turn) {
        self.clock.schedule(micros, Due::Foreign(turn));
    }

    pub(super) fn look_soon(&mut self, client: usize, micros: u64) -> Result<(), Violation> {
        let guest = self.foreign.guest_mut(client)?;
        if !std::mem::replace(&mut guest.is_look_due, true) {
            self.foreign_later(micros, Turn::Look(client));
        }
        Ok(())
    }

    /// Chooses a node for each vBucket of a client that has no stream.
    fn look(&mut self, client: usize) -> Result<(), SimError> {
        let guest = self.foreign.guest_mut(client)?;
        guest.is_look_due = false;
        let mut nodes = Vec::new();
        for vb in guest.client.detached() {
            match self.choose(client, vb)? {
                Some(node) => {
                    self.ask_foreign(client, vb, node)?;
                    nodes.push(node);
                }
                None => self.look_soon(client, LOOK_MICROS)?,
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            self.speak_foreign(client, node)?;
        }
        Ok(())
    }

    /// Returns a reachable copy that the client prefers.
    fn choose(&mut self, client: usize, vb: Vbid) -> Result<Option<NodeId>, SimError> {
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let prefers = self.foreign.guest_mut(client)?.client.temper().prefers;
        let preferred = match prefers {
            Prefers::Replicas if !replicas.is_empty() => replicas,
            Prefers::Actives | Prefers::Replicas => vec![self.topology.active(vb)],
            Prefers::Any => self.topology.copies_of(vb).collect(),
        };
        let mut reachable = Vec::new();
        for node in preferred {
            if self.is_reachable(node)? && self.can_reach_foreign(client, node) {
                reachable.push(node);
            }
        }
        let guest = self.foreign.guest_mut(client)?;
        Ok(guest.rng.pick(&reachable).copied())
    }

    fn ask_foreign(&mut self, client: usize, vb: Vbid, node: NodeId) -> Result<(), SimError> {
        let is_liveness_phase = self
            .chaos
            .as_ref()
            .is_none_or(|chaos| chaos.liveness_micros.is_some());
        if !self.foreign.guest_mut(client)?.client.is_connected(node) {
            self.connect_foreign(client, node)?;
        }
        let guest = self.foreign.guest_mut(client)?;
        let wants_detour = guest.client.temper().wants_detour(&mut guest.rng);
        let seqno = guest.client.standing(vb)?.seqno;
        let follow = match guest.rng.range(0, 2) {
            _ if is_liveness_phase || !wants_detour => Follow::Live,
            0 => Follow::Upto(lowtide_checkpoint::Seqno(
                seqno.0 + guest.rng.range(1, UPTO_SEQNOS),
            )),
            1 => Follow::Disk,
            _ => Follow::Latest,
        };
        guest.client.ask(vb, node, follow)?;
        self.foreign.figures.streams += 1;
        Ok(())
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
                News::Seen(vb, seen) => self.judge_foreign(client, vb, &seen)?,
                News::Detached(_, reason) => {
                    *self.foreign.figures.ends.entry(reason.name()).or_default() += 1;
                    self.look_soon(client, LOOK_MICROS / 10)?;
                }
                News::Refused(_) => {
                    self.foreign.figures.refused += 1;
                    self.look_soon(client, LOOK_MICROS)?;
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

    fn judge_foreign(&mut self, client: usize, vb: Vbid, seen: &Seen) -> Result<(), SimError> {
        let history = &chaos::required(&mut self.chaos)?.history;
        let figures = &mut self.foreign.figures;
        match seen {
            Seen::Item { .. } => figures.items += 1,
            Seen::WentBack { to, .. } => {
                figures.rollbacks += 1;
                figures.started_over += u64::from(*to == lowtide_checkpoint::Seqno::ZERO);
            }
            _ => {}
        }
        let sees = self.foreign.guest_mut(client)?.client.sees();
        self.foreign
            .judge
            .observe((client, vb, sees), seen, history);
        Ok(())
    }

    /// Returns the verdicts on W19 and W20 at rest.
    pub(in crate::sim) fn foreign_verdicts(&mut self) -> Result<Vec<InvariantVerdict>, SimError> {
        if self.foreign.guests.is_empty() {
            return Ok(Vec::new());
        }
        let mut judge = std::mem::take(&mut self.foreign.judge);
        let history = &chaos::required(&mut self.chaos)?.history;
        let nodes: Vec<_> = self.hosts.iter().map(|host| &host.node).collect();
        for (number, client) in self.foreign.clients().enumerate() {
            judge.at_rest(number, client, (&nodes, history, client.sees()))?;
        }
        Ok(judge.verdicts().into())
    }
}

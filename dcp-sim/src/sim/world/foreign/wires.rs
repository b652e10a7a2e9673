//! Connections of foreign clients: opened by the client, slowed or lost by its faults, read at its
//! own pace.
//!
//! # Invariants
//!
//! - A client reads a prefix of the bytes that its node sent.
//! - A lost connection is replaced only after its client noticed the loss.

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant, Violation};

use crate::node::{Event, NodeId};
use crate::sim::error::SimError;
use crate::sim::hardware::{Ends, LinkId};
use crate::sim::rng::SimRng;
use crate::sim::world::due::Turn;
use crate::sim::world::guests::{ForeignClients, Inbox, peer};
use crate::sim::world::state::World;
use crate::wire::KeyForm;

/// Retry interval of bytes for or from an unreachable node.
const CUT_OFF_MICROS: u64 = 5_000;
/// Longest time until an end notices a lost connection.
const NOTICE_MICROS: u64 = 20_000;

impl World {
    /// Returns `true` if a client can use or open a connection to a node.
    pub(super) fn can_reach_foreign(&self, client: usize, node: NodeId) -> bool {
        let links = &self.foreign.links;
        let to = (node, peer(client));
        let from = (peer(client), node);
        let current = links.current(to).and_then(|link| links.get(link));
        // The client did not notice the loss of this one yet.
        let is_usable = current.is_none_or(|link| link.is_open);
        is_usable && links.is_way_open(to.0, to.1) && links.is_way_open(from.0, from.1)
    }

    pub(super) fn connect_foreign(&mut self, client: usize, node: NodeId) -> Result<(), SimError> {
        self.foreign.links.connect((node, peer(client)));
        self.foreign.figures.connections += 1;
        let guest = self.foreign.guest_mut(client)?;
        guest.client.connected(node);
        guest.inboxes.insert(node, Inbox::default());
        let keys = if guest.client.is_bare() {
            KeyForm::Bare
        } else {
            KeyForm::Collections
        };
        let host = self.hosts.at_mut(node)?;
        host.node.accept_client(peer(client), keys);
        Ok(())
    }

    /// Sends a client's output to a node.
    pub(super) fn speak_foreign(&mut self, client: usize, node: NodeId) -> Result<(), SimError> {
        let bytes = self.foreign.guest_mut(client)?.client.take_output(node);
        if bytes.is_empty() {
            return Ok(());
        }
        self.send_foreign((node, peer(client)), false, bytes)
    }

    /// Sends bytes between a node and a client. Those for a lost connection are lost, too.
    pub(in crate::sim::world) fn send_foreign(
        &mut self,
        ends: Ends,
        to_client: bool,
        bytes: Bytes,
    ) -> Result<(), SimError> {
        let foreign = &mut self.foreign;
        let Some(link) = foreign.links.current(ends) else {
            return Ok(());
        };
        let size = bytes.len();
        if !foreign.links.send(link, to_client, bytes) {
            return Ok(());
        }
        let rng = network_rng(&mut foreign.rng)?;
        let direction = if to_client { ends } else { (ends.1, ends.0) };
        let delay = foreign
            .network
            .delay(direction, size, self.clock.now_micros(), rng);
        self.foreign_later(delay, Turn::Arrive { link, to_client });
        Ok(())
    }

    pub(super) fn arrive_foreign(&mut self, link: LinkId, to_client: bool) -> Result<(), SimError> {
        // The connection was lost, and its client noticed.
        let Some((node, peer)) = self.foreign.links.get(link).map(|link| link.ends) else {
            return Ok(());
        };
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.cut_off.contains_key(&node))
        {
            self.foreign_later(CUT_OFF_MICROS, Turn::Arrive { link, to_client });
            return Ok(());
        }
        let Some((_, bytes)) = self.foreign.links.arrive(link, to_client) else {
            return Ok(());
        };
        if !to_client {
            return self.step(node, Event::FromConsumer { peer, bytes });
        }
        self.put_in_inbox(node, client_of(peer)?, &bytes)
    }

    fn put_in_inbox(&mut self, node: NodeId, client: usize, bytes: &[u8]) -> Result<(), SimError> {
        let guest = self.foreign.guest_mut(client)?;
        let pause_micros = guest.client.temper().pause_micros;
        let inbox = guest.inboxes.get_mut(&node).invariant(
            "W21",
            "a connection has an inbox until its client notices the loss",
        )?;
        inbox.bytes.extend_from_slice(bytes);
        if !std::mem::replace(&mut inbox.is_read_due, true) {
            let micros = guest.rng.range(0, pause_micros);
            self.foreign_later(micros, Turn::Read { client, node });
        }
        Ok(())
    }

    /// Lets a client read a piece of its inbox, and sends its answer.
    pub(super) fn read_foreign(&mut self, client: usize, node: NodeId) -> Result<(), SimError> {
        let now = self.clock.now_micros();
        let guest = self.foreign.guest_mut(client)?;
        // The client noticed the loss of the connection meanwhile.
        let Some(inbox) = guest.inboxes.get_mut(&node) else {
            return Ok(());
        };
        if let Some(micros) = guest
            .stalled_micros
            .checked_sub(now)
            .filter(|&micros| micros > 0)
        {
            self.foreign_later(micros, Turn::Read { client, node });
            return Ok(());
        }
        let temper = *guest.client.temper();
        let piece = inbox
            .bytes
            .split_to(temper.read_bytes.min(inbox.bytes.len()));
        inbox.is_read_due = !inbox.bytes.is_empty();
        let goes_on = inbox
            .is_read_due
            .then(|| guest.rng.range(0, temper.pause_micros));
        let news = guest.client.receive(node, &piece)?;
        if let Some(micros) = goes_on {
            self.foreign_later(micros, Turn::Read { client, node });
        }
        self.speak_foreign(client, node)?;
        self.handle_news(client, node, news)
    }

    /// Loses a connection; each end notices the loss after a delay of its own.
    pub(super) fn lose_foreign(&mut self, link: LinkId) -> Result<(), SimError> {
        let foreign = &mut self.foreign;
        let rng = network_rng(&mut foreign.rng)?;
        let lost = foreign
            .links
            .lose(link, |bytes| rng.range(0, bytes as u64) as usize);
        let Some(((node, peer), [to_client, to_node])) = lost else {
            return Ok(());
        };
        let soon = rng.range(100, NOTICE_MICROS);
        let later = rng.range(100, NOTICE_MICROS);
        foreign.figures.connections_lost += 1;
        self.foreign_later(
            soon,
            Turn::Notice {
                link,
                is_client: true,
            },
        );
        self.foreign_later(
            later,
            Turn::Notice {
                link,
                is_client: false,
            },
        );
        self.put_in_inbox(node, client_of(peer)?, &to_client)?;
        if to_node.is_empty() {
            return Ok(());
        }
        self.step(
            node,
            Event::FromConsumer {
                peer,
                bytes: to_node,
            },
        )
    }

    /// Loses the clients' connections to a node that goes down.
    pub(in crate::sim::world) fn lose_foreign_of(&mut self, node: NodeId) -> Result<(), SimError> {
        let of_node = self
            .foreign
            .links
            .open()
            .filter(|(_, link)| link.ends.0 == node);
        let lost: Vec<_> = of_node.map(|(id, _)| id).collect();
        lost.into_iter()
            .try_for_each(|link| self.lose_foreign(link))
    }

    /// Lets an end notice the loss of its connection. The client is last: only then a new
    /// connection is possible.
    pub(super) fn notice_foreign(&mut self, link: LinkId, is_client: bool) -> Result<(), SimError> {
        let Some((node, peer)) = self.foreign.links.get(link).map(|link| link.ends) else {
            return Ok(());
        };
        if is_client {
            self.foreign.links.remove(link);
            let client = client_of(peer)?;
            let guest = self.foreign.guest_mut(client)?;
            guest.inboxes.remove(&node);
            guest.client.disconnected(node);
            self.look_soon(client, 0)?;
        }
        self.step(node, Event::ConsumerGone { peer })
    }

    /// Delivers bytes that waited for a closed way.
    pub(super) fn open_foreign(&mut self, from: NodeId, to: NodeId) -> Result<(), SimError> {
        for (link, to_client, pieces) in self.foreign.links.open_way(from, to)? {
            for _ in 0..pieces {
                self.foreign_later(0, Turn::Arrive { link, to_client });
            }
        }
        Ok(())
    }
}

fn network_rng(rng: &mut Option<SimRng>) -> Result<&mut SimRng, Violation> {
    rng.as_mut()
        .invariant("W21", "a run with foreign clients has a network for them")
}

fn client_of(peer: NodeId) -> Result<usize, Violation> {
    ForeignClients::number(peer).invariant("W21", "the consumer of such a connection is a client")
}

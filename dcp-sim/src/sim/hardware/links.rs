//! Connections between nodes: bytes in flight, and closed ways.
//!
//! # Invariants
//!
//! - Bytes of one direction of a connection arrive in order, as a prefix of the sent ones.
//! - A pair of producer and consumer has at most one connection.
//! - A lost connection loses the bytes in flight, except the first ones.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant, Violation};

use crate::node::NodeId;

/// Id of a connection; never reused.
pub(in crate::sim) type LinkId = u64;

/// Producer and consumer of a connection.
pub(in crate::sim) type Ends = (NodeId, NodeId);

/// One connection.
#[derive(Debug)]
pub(in crate::sim) struct Link {
    pub(in crate::sim) ends: Ends,
    pub(in crate::sim) is_open: bool,
    to_consumer: Way,
    to_producer: Way,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Way {
    in_flight: VecDeque<Bytes>,
    /// Number of pieces that would have arrived if the way were open.
    held: usize,
}

impl Link {
    fn way(&mut self, to_consumer: bool) -> &mut Way {
        if to_consumer {
            &mut self.to_consumer
        } else {
            &mut self.to_producer
        }
    }

    /// Returns the bytes in flight to the consumer and to the producer.
    pub(in crate::sim) fn in_flight(&self) -> [usize; 2] {
        [&self.to_consumer, &self.to_producer].map(|way| way.in_flight.iter().map(Bytes::len).sum())
    }

    /// Returns the source and target node of a direction.
    pub(in crate::sim) fn direction(&self, to_consumer: bool) -> (NodeId, NodeId) {
        let (producer, consumer) = self.ends;
        if to_consumer {
            (producer, consumer)
        } else {
            (consumer, producer)
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(in crate::sim) struct Links {
    made: LinkId,
    links: BTreeMap<LinkId, Link>,
    current: BTreeMap<Ends, LinkId>,
    /// Closed ways, with the number of reasons for each.
    closed: BTreeMap<(NodeId, NodeId), usize>,
}

impl Links {
    /// Opens a connection; it replaces an older one.
    pub(in crate::sim) fn connect(&mut self, ends: Ends) -> LinkId {
        if let Some(older) = self.current.get(&ends).copied() {
            self.remove(older);
        }
        self.made += 1;
        let link = Link {
            ends,
            is_open: true,
            to_consumer: Way::default(),
            to_producer: Way::default(),
        };
        self.links.insert(self.made, link);
        self.current.insert(ends, self.made);
        self.made
    }

    pub(in crate::sim) fn current(&self, ends: Ends) -> Option<LinkId> {
        self.current.get(&ends).copied()
    }

    pub(in crate::sim) fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// Returns the open connections, oldest first.
    pub(in crate::sim) fn open(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links
            .iter()
            .filter(|(_, link)| link.is_open)
            .map(|(&id, link)| (id, link))
    }

    /// Removes a connection.
    pub(in crate::sim) fn remove(&mut self, id: LinkId) {
        let removed = self
            .links
            .remove(&id)
            .filter(|link| self.current.get(&link.ends) == Some(&id));
        if let Some(link) = removed {
            self.current.remove(&link.ends);
        }
    }

    /// Sends bytes. Returns `true` if the connection is open.
    pub(in crate::sim) fn send(&mut self, id: LinkId, to_consumer: bool, bytes: Bytes) -> bool {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.is_open) else {
            return false;
        };
        link.way(to_consumer).in_flight.push_back(bytes);
        true
    }

    /// Takes the next piece that arrives. On a closed way it waits.
    pub(in crate::sim) fn arrive(
        &mut self,
        id: LinkId,
        to_consumer: bool,
    ) -> Option<(Ends, Bytes)> {
        let link = self.links.get_mut(&id).filter(|link| link.is_open)?;
        let is_closed = self.closed.contains_key(&link.direction(to_consumer));
        let ends = link.ends;
        let way = link.way(to_consumer);
        if is_closed {
            way.held += 1;
            return None;
        }
        way.in_flight.pop_front().map(|bytes| (ends, bytes))
    }

    /// Closes a connection. Returns the first bytes in flight of each direction. `keep` maps their
    /// number to the number to keep; the first call is for the consumer.
    pub(in crate::sim) fn lose(
        &mut self,
        id: LinkId,
        mut keep: impl FnMut(usize) -> usize,
    ) -> Option<(Ends, [Bytes; 2])> {
        let link = self.links.get_mut(&id).filter(|link| link.is_open)?;
        link.is_open = false;
        let mut prefix = |to_consumer: bool| {
            let is_closed = self.closed.contains_key(&link.direction(to_consumer));
            let pieces = std::mem::take(&mut link.way(to_consumer).in_flight);
            // Nothing may be in flight.
            let first = pieces.into_iter().next().unwrap_or(Bytes::new());
            let kept = keep(first.len()).min(first.len());
            if is_closed {
                Bytes::new()
            } else {
                first.slice(..kept)
            }
        };
        let kept = [prefix(true), prefix(false)];
        Some((link.ends, kept))
    }

    /// Returns `true` if bytes get from one node to the other.
    pub(in crate::sim) fn is_way_open(&self, from: NodeId, to: NodeId) -> bool {
        !self.closed.contains_key(&(from, to))
    }

    /// Closes a way for one more reason.
    pub(in crate::sim) fn close_way(&mut self, from: NodeId, to: NodeId) {
        *self.closed.entry((from, to)).or_default() += 1;
    }

    /// Returns every closed way.
    pub(in crate::sim) fn closed_ways(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.closed.keys().copied()
    }

    /// Removes one reason for a closed way. After the last one, returns the number of pieces that
    /// arrive now, with their connection and end.
    pub(in crate::sim) fn open_way(
        &mut self,
        from: NodeId,
        to: NodeId,
    ) -> Result<Vec<(LinkId, bool, usize)>, Violation> {
        let reasons = self
            .closed
            .get_mut(&(from, to))
            .invariant("W21", "a way that opens was closed")?;
        *reasons -= 1;
        if *reasons > 0 {
            return Ok(Vec::new());
        }
        self.closed.remove(&(from, to));
        let mut released = Vec::new();
        for (&id, link) in &mut self.links {
            for to_consumer in [true, false] {
                if link.is_open && link.direction(to_consumer) == (from, to) {
                    let held = std::mem::take(&mut link.way(to_consumer).held);
                    released.push((id, to_consumer, held));
                }
            }
        }
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn bytes_held_by_a_closed_way_arrive_in_order() {
        let mut links = Links::default();
        let id = links.connect((0, 1));
        links.close_way(0, 1);
        links.close_way(0, 1);
        for text in ["one", "two", "three"] {
            assert!(links.send(id, true, bytes(text)));
        }
        assert!(links.arrive(id, true).is_none() && links.arrive(id, true).is_none());
        assert_eq!(links.open_way(0, 1), Ok(vec![]), "there is another reason");
        assert_eq!(links.open_way(0, 1), Ok(vec![(id, true, 2)]));
        for text in ["one", "two", "three"] {
            assert_eq!(links.arrive(id, true), Some(((0, 1), bytes(text))));
        }
    }

    #[test]
    fn lost_connection_keeps_only_the_first_bytes() {
        let mut links = Links::default();
        let id = links.connect((0, 1));
        assert!(links.send(id, true, bytes("one")) && links.send(id, true, bytes("two")));
        assert_eq!(
            links.lose(id, |_| 2),
            Some(((0, 1), [bytes("on"), Bytes::new()]))
        );
        assert!(!links.send(id, true, bytes("three")), "it is lost");
        assert_eq!(links.arrive(id, true), None);
        assert_eq!(links.lose(id, |_| 2), None);
        let newer = links.connect((0, 1));
        assert_eq!(links.current((0, 1)), Some(newer));
        assert!(links.get(id).is_none());
    }
}

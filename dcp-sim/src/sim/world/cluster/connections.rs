//! Connections between nodes: opened and cut by the manager, lost by faults.
//!
//! The cluster's manager compares the actual connections with the wanted ones after every change.
//! Differences that it cannot resolve now it checks again a little later.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{State, Vbid};

use crate::consumer::ConsumerEvent;
use crate::node::{Action, Event, NodeId};
use crate::sim::error::SimError;
use crate::sim::hardware::{Ends, LinkId};
use crate::sim::judge::TakenIn;
use crate::sim::world::chaos;
use crate::sim::world::due::Due;
use crate::sim::world::state::World;
use crate::wire::StreamEndReason;

/// Retry interval of a consumer without memory.
const MEMORY_MICROS: u64 = 500;
/// Delay of the manager's next check.
const RECONCILE_MICROS: u64 = 2_000;

impl World {
    /// Establishes the wanted roles, vBuckets, connections and streams.
    pub(in crate::sim::world) fn reconcile(&mut self) -> Result<(), SimError> {
        if let Some(chaos) = &mut self.chaos {
            chaos.is_reconcile_due = false;
            self.assign_roles()?;
        }
        self.cut_wrong_connections()?;
        for (ends, vbs) in self.topology.pairs() {
            self.connect(ends, &vbs)?;
        }
        Ok(())
    }

    /// Schedules a check by the manager.
    pub(in crate::sim::world) fn reconcile_soon(&mut self) {
        if let Some(chaos) = self.chaos.as_mut().filter(|chaos| !chaos.is_reconcile_due) {
            chaos.is_reconcile_due = true;
            self.clock.schedule(RECONCILE_MICROS, Due::Reconcile);
        }
    }

    /// Establishes a consumer's streams of these vBuckets from that producer, if both are able to.
    fn connect(&mut self, ends: Ends, vbs: &[Vbid]) -> Result<(), SimError> {
        let (producer, consumer) = ends;
        let wanted = self.missing_streams(ends, vbs)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let current = self.links.current(ends);
        let is_open = current
            .and_then(|link| self.links.get(link))
            .is_some_and(|link| link.is_open);
        if current.is_some() && !is_open {
            // Its consumer did not notice the loss yet.
            return Ok(());
        }
        let micros = self.clock.now_micros();
        let failed = |source| SimError::Node {
            node: consumer,
            micros,
            source,
        };
        if is_open {
            let host = self.hosts.at_mut(consumer)?;
            let actions = host.node.follow_more(producer, &wanted).map_err(failed)?;
            return self.carry_out(consumer, actions);
        }
        if !self.can_talk(ends) {
            self.reconcile_soon();
            return Ok(());
        }
        self.links.connect(ends);
        if let Some(chaos) = &mut self.chaos {
            chaos.figures.connections += 1;
        }
        self.hosts.at_mut(producer)?.node.accept(consumer);
        let host = self.hosts.at_mut(consumer)?;
        let actions = host.node.follow(producer, &wanted).map_err(failed)?;
        self.carry_out(consumer, actions)
    }

    /// Returns the vBuckets of a pair that could have a stream and have none.
    fn missing_streams(
        &self,
        (producer, consumer): Ends,
        vbs: &[Vbid],
    ) -> Result<Vec<Vbid>, Violation> {
        let from = self.hosts.at(producer)?;
        let to = self.hosts.at(consumer)?;
        if !from.is_up || !to.is_up {
            return Ok(Vec::new());
        }
        let is_missing = |vb: &&Vbid| {
            let copy = to.node.partition(**vb).filter(|_| to.node.is_settled(**vb));
            let follows = copy.is_some_and(|copy| copy.vbucket.state() != State::Active);
            let active = from.node.partition(**vb);
            let serves = active.is_some_and(|copy| copy.vbucket.state() == State::Active);
            follows && serves && to.node.followed(**vb).is_none()
        };
        Ok(vbs.iter().filter(is_missing).copied().collect())
    }

    fn can_talk(&self, (producer, consumer): Ends) -> bool {
        self.links.is_way_open(producer, consumer) && self.links.is_way_open(consumer, producer)
    }

    /// Cuts connections with streams that have the wrong source or target.
    fn cut_wrong_connections(&mut self) -> Result<(), SimError> {
        let mut wrong = Vec::new();
        for (id, link) in self.links.open() {
            if self.is_wrong(link.ends)? {
                wrong.push(id);
            }
        }
        for link in wrong {
            self.cut(link)?;
        }
        Ok(())
    }

    fn is_wrong(&self, (producer, consumer): Ends) -> Result<bool, Violation> {
        let follows = |vb| {
            self.topology.active(vb) == producer
                && self.topology.role(vb, consumer) == Some(State::Replica)
        };
        let node = &self.hosts.at(consumer)?.node;
        Ok(node.followed_from(producer).any(|vb| !follows(vb)))
    }

    /// Closes a connection in order: both ends notice it at once.
    pub(in crate::sim::world) fn cut(&mut self, link: LinkId) -> Result<(), SimError> {
        let Some(((producer, consumer), _)) = self.links.lose(link, |_| 0) else {
            return Ok(());
        };
        self.links.remove(link);
        self.step(producer, Event::ConsumerGone { peer: consumer })?;
        self.step(consumer, Event::ProducerGone { peer: producer })
    }

    /// Loses every connection of a node that went down; the other ends notice it later.
    pub(in crate::sim::world) fn lose_all(&mut self, node: NodeId) -> Result<(), SimError> {
        let of_node = |ends: Ends| ends.0 == node || ends.1 == node;
        let lost: Vec<_> = self
            .links
            .open()
            .filter(|(_, link)| of_node(link.ends))
            .map(|(id, _)| id)
            .collect();
        for link in lost {
            self.lose(link)?;
        }
        self.lose_foreign_of(node)
    }

    /// Loses a connection: the first bytes in flight arrive, and each end notices the loss after a
    /// delay of its own.
    pub(in crate::sim::world) fn lose(&mut self, link: LinkId) -> Result<(), SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        let Some(((producer, consumer), [to_consumer, to_producer])) = self
            .links
            .lose(link, |bytes| chaos.rng.range(0, bytes as u64) as usize)
        else {
            return Ok(());
        };
        let soon = chaos.notice_micros();
        let later = chaos.notice_micros();
        self.clock.schedule(
            soon,
            Due::Notice {
                link,
                consumer: true,
            },
        );
        self.clock.schedule(
            later,
            Due::Notice {
                link,
                consumer: false,
            },
        );
        if !to_consumer.is_empty() {
            self.step(
                consumer,
                Event::FromProducer {
                    peer: producer,
                    bytes: to_consumer,
                },
            )?;
        }
        if !to_producer.is_empty() {
            self.step(
                producer,
                Event::FromConsumer {
                    peer: consumer,
                    bytes: to_producer,
                },
            )?;
        }
        Ok(())
    }

    /// Lets an end notice the loss of a connection. Only its consumer opens a new one, perhaps
    /// before the producer notices.
    pub(in crate::sim::world) fn notice(
        &mut self,
        link: LinkId,
        consumer: bool,
    ) -> Result<(), SimError> {
        let Some(ends) = self.links.get(link).map(|link| link.ends) else {
            return Ok(());
        };
        let is_current = self.links.current(ends) == Some(link);
        if !is_current {
            return Ok(());
        }
        let (producer_node, consumer_node) = ends;
        if !consumer {
            return self.step(
                producer_node,
                Event::ConsumerGone {
                    peer: consumer_node,
                },
            );
        }
        self.links.remove(link);
        self.reconcile_soon();
        self.step(
            consumer_node,
            Event::ProducerGone {
                peer: producer_node,
            },
        )?;
        // Without a new connection the producer would never notice.
        self.step(
            producer_node,
            Event::ConsumerGone {
                peer: consumer_node,
            },
        )
    }

    pub(in crate::sim::world) fn arrive(
        &mut self,
        link: LinkId,
        to_consumer: bool,
    ) -> Result<(), SimError> {
        if to_consumer && self.waits_for_memory(link)? {
            // The consumer reads on when it has memory; until then the bytes wait, and all bytes
            // behind them.
            self.clock
                .schedule(MEMORY_MICROS, Due::Arrive { link, to_consumer });
            return Ok(());
        }
        let Some(((producer, consumer), bytes)) = self.links.arrive(link, to_consumer) else {
            return Ok(());
        };
        // With full memory the bytes would have waited.
        let taken = TakenIn {
            bytes: bytes.len(),
            before_bytes: self.memory_bytes(consumer)?,
            was_full: false,
        };
        if !to_consumer {
            let peer = consumer;
            return self.step(producer, Event::FromConsumer { peer, bytes });
        }
        let peer = producer;
        self.step(consumer, Event::FromProducer { peer, bytes })?;
        self.taken_in(consumer, taken)
    }

    fn waits_for_memory(&mut self, link: LinkId) -> Result<bool, Violation> {
        if self.chaos.is_none() {
            return Ok(false);
        }
        // The bytes of a connection that is gone do not wait.
        let Some(consumer) = self.links.get(link).map(|link| link.ends.1) else {
            return Ok(false);
        };
        Ok(self.hosts.at_mut(consumer)?.node.is_memory_full())
    }

    /// Returns the bytes of a node's quota in use.
    pub(in crate::sim::world) fn memory_bytes(&self, node: NodeId) -> Result<usize, Violation> {
        Ok(self.hosts.at(node)?.node.quota_stats().used_bytes)
    }

    pub(in crate::sim::world) fn stream_stopped(
        &mut self,
        node: NodeId,
        peer: NodeId,
        event: ConsumerEvent,
    ) -> Result<(), SimError> {
        if self.chaos.is_none() {
            return Err(SimError::StreamStopped {
                node,
                micros: self.clock.now_micros(),
                peer,
                event,
            });
        }
        let is_slow = matches!(
            event,
            ConsumerEvent::StreamEnded {
                reason: StreamEndReason::TooSlow,
                ..
            }
        );
        if let Some(chaos) = self.chaos.as_mut().filter(|_| is_slow) {
            chaos.figures.slow_streams += 1;
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Carries out a node's actions that are not the result of an event.
    pub(in crate::sim::world) fn after(
        &mut self,
        node: NodeId,
        actions: Vec<Action>,
    ) -> Result<(), SimError> {
        self.watch(node)?;
        self.carry_out(node, actions)
    }

    /// Delivers bytes that waited for a closed way.
    pub(in crate::sim::world) fn release(
        &mut self,
        from: NodeId,
        to: NodeId,
    ) -> Result<(), Violation> {
        for (link, to_consumer, pieces) in self.links.open_way(from, to)? {
            for _ in 0..pieces {
                self.clock.schedule(0, Due::Arrive { link, to_consumer });
            }
        }
        Ok(())
    }
}

//! Outgoing streams of a node: input and output of its producers, and their backfill steps.
//!
//! # Invariants
//!
//! - Every step that a producer requests is an action of the same event.
//! - S8. A sender is woken once per change from idle to busy.

use lowtide_checkpoint::{Seqno, State, Vbid};
use lowtide_persistence::BackfillOutcome;

use crate::fault::{self, Fault};
use crate::node::config::NodeId;
use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::{Node, wake_if_busy};
use crate::node::streamed::{Streamed, streamed};
use crate::producer::{Producer, ProducerError, ProducerEvent};
use crate::wire::StreamEndReason;

impl Node {
    pub(in crate::node) fn receive_from_consumer(
        &mut self,
        peer: NodeId,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        // The bytes may contain a stream request, which is refused without memory (N6).
        self.recover_memory();
        self.with_producer(peer, actions, |producer, streamed| {
            producer.receive(bytes, streamed)
        })
    }

    pub(in crate::node) fn backfilled(
        &mut self,
        (peer, connection): (NodeId, u64),
        outcome: BackfillOutcome,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        // The connection was closed, and there may be a newer one.
        if self
            .producers
            .get(&peer)
            .is_none_or(|&(current, _)| current != connection)
        {
            return Ok(());
        }
        self.with_producer(peer, actions, |producer, streamed| {
            producer.backfilled(outcome, streamed).map(drop)
        })?;
        if fault::is(Fault::WakeUpIsLost) {
            lose_wake_ups(actions);
        }
        Ok(())
    }

    pub(in crate::node) fn send(
        &mut self,
        peer: NodeId,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        // The connection was closed after the wake-up.
        let Some((connection, producer)) = self.producers.get_mut(&peer) else {
            return Ok(());
        };
        let polled = producer.poll(&streamed, self.config.send_bytes);
        let bytes = polled.map_err(|source| NodeError::Producer { peer, source })?;
        if !bytes.is_empty() {
            actions.push(Action::ToConsumer(peer, bytes));
        }
        if producer.has_more() {
            actions.push(Action::WakeSender(peer));
        }
        take_backfills((peer, *connection), producer, actions);
        // The flusher may have passed the items before the stream did. Whichever is later expels
        // them.
        for vb in producer.take_read() {
            if let Some(partition) = self.partitions.get(vb) {
                partition.vbucket.manager().expel();
            }
        }
        Ok(())
    }

    /// Ends the streams of a vBucket that changed.
    pub(in crate::node) fn end_streams(
        &mut self,
        vb: Vbid,
        reason: StreamEndReason,
        actions: &mut Vec<Action>,
    ) {
        let streamed = streamed!(self);
        for (&peer, (_, producer)) in &mut self.producers {
            wake_if_busy(peer, producer, actions, |producer| {
                producer.end_streams(vb, reason, &streamed)
            });
        }
    }

    /// Calls a producer, and wakes its sender if that became busy.
    fn with_producer(
        &mut self,
        peer: NodeId,
        actions: &mut Vec<Action>,
        step: impl FnOnce(&mut Producer, &Streamed<'_>) -> Result<(), ProducerError>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        let (connection, producer) = self.producers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "connection to a consumer",
        })?;
        wake_if_busy(peer, producer, actions, |producer| {
            step(producer, &streamed)
        })
        .map_err(|source| NodeError::Producer { peer, source })?;
        take_backfills((peer, *connection), producer, actions);
        for event in producer.take_events() {
            match event {
                ProducerEvent::TakenOver { vb } => self.set_dead(vb, actions)?,
                ProducerEvent::Prepared { vb, seqno } => {
                    actions.push(Action::Prepared { peer, vb, seqno })
                }
            }
        }
        Ok(())
    }

    /// Makes a vBucket dead, to hand it over: it accepts no more writes, and its other streams end.
    fn set_dead(&mut self, vb: Vbid, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "vBucket" })?;
        partition.vbucket.set_state(State::Dead, None)?;
        self.end_streams(vb, StreamEndReason::StateChanged, actions);
        self.queued(vb, actions);
        Ok(())
    }

    /// Requests a takeover of a vBucket from the producer on `peer`.
    ///
    /// # Errors
    /// If the vBucket or the connection does not exist.
    pub fn take_over(&mut self, peer: NodeId, vb: Vbid) -> Result<Vec<Action>, NodeError> {
        let wrong = |source| NodeError::Consumer { peer, source };
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "vBucket" })?;
        let consumer = self.consumers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "connection to a producer",
        })?;
        consumer.close_stream(vb).map_err(wrong)?;
        consumer
            .take_over(vb, partition.vbucket.resume_point())
            .map_err(wrong)?;
        self.followed.insert(vb, peer);
        Ok(vec![Action::ToProducer(peer, consumer.take_output())])
    }

    /// Reports that everything up to the prepare `seqno` is as durable on this node as required.
    pub(in crate::node) fn prepared(
        &mut self,
        vb: Vbid,
        seqno: Seqno,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        for (&peer, consumer) in &mut self.consumers {
            consumer
                .prepared(vb, seqno)
                .map_err(|source| NodeError::Consumer { peer, source })?;
            let output = consumer.take_output();
            if !output.is_empty() {
                actions.push(Action::ToProducer(peer, output));
            }
        }
        Ok(())
    }

    /// Passes the time to every connection.
    pub(in crate::node) fn tick(
        &mut self,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        for (&peer, (_, producer)) in &mut self.producers {
            wake_if_busy(peer, producer, actions, |producer| {
                producer.tick(now, &streamed)
            })
            .map_err(|source| NodeError::Producer { peer, source })?;
        }
        for (&peer, consumer) in &mut self.consumers {
            consumer
                .tick(now)
                .map_err(|source| NodeError::Consumer { peer, source })?;
        }
        self.evict_documents();
        Ok(())
    }
}

fn take_backfills(
    (peer, connection): (NodeId, u64),
    producer: &mut Producer,
    actions: &mut Vec<Action>,
) {
    let steps = producer.take_backfills().into_iter();
    actions.extend(steps.map(|step| Action::Backfill {
        peer,
        connection,
        step,
    }));
}

/// Body of [`Fault::WakeUpIsLost`].
fn lose_wake_ups(actions: &mut Vec<Action>) {
    actions.retain(|action| !matches!(action, Action::WakeSender(_)));
}

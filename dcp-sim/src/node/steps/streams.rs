//! A node's outgoing streams: what its producers see of it, and their steps on the engine.
//!
//! In go consumers' bytes and backfills' outcomes; out come actions. What always holds: every step a producer wants is an
//! action as soon as the event that caused it has been dealt with; its sender is woken once per change from idle to
//! busy (S8).

use lowtide_checkpoint::{Seqno, State, Vbid};
use lowtide_persistence::BackfillOutcome;

use crate::fault::{self, Fault};
use crate::node::config::NodeId;
use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::Node;
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
        // It may ask for a stream, which is refused where there is no memory (N6).
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
        // Nobody waits for it when the connection was lost meanwhile, though there may be a new one.
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
            actions.retain(|action| !matches!(action, Action::WakeSender(_)));
        }
        Ok(())
    }

    pub(in crate::node) fn send(
        &mut self,
        peer: NodeId,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        // A connection that is over needs nothing sent, though somebody was told to.
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
        // The flusher may have been the faster one: whoever reads last expels.
        for vb in producer.take_read() {
            if let Some(partition) = self.partitions.get(vb) {
                partition.vbucket.manager().expel();
            }
        }
        Ok(())
    }

    /// A vBucket is not what its streams were opened on any more: they end.
    pub(in crate::node) fn end_streams(
        &mut self,
        vb: Vbid,
        reason: StreamEndReason,
        actions: &mut Vec<Action>,
    ) {
        let streamed = streamed!(self);
        for (&peer, (_, producer)) in &mut self.producers {
            let was_busy = producer.has_more();
            producer.end_streams(vb, reason, &streamed);
            if !was_busy && producer.has_more() {
                actions.push(Action::WakeSender(peer));
            }
        }
    }

    /// Lets a producer take something in, and wakes its sender if that made it busy.
    fn with_producer(
        &mut self,
        peer: NodeId,
        actions: &mut Vec<Action>,
        step: impl FnOnce(&mut Producer, &Streamed<'_>) -> Result<(), ProducerError>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        let (connection, producer) = self.producers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "a consumer's connection",
        })?;
        let was_busy = producer.has_more();
        step(producer, &streamed).map_err(|source| NodeError::Producer { peer, source })?;
        if !was_busy && producer.has_more() {
            actions.push(Action::WakeSender(peer));
        }
        take_backfills((peer, *connection), producer, actions);
        for event in producer.take_events() {
            match event {
                ProducerEvent::TakenOver { vb } => self.die(vb, actions)?,
                ProducerEvent::Prepared { vb, seqno } => {
                    actions.push(Action::Prepared { peer, vb, seqno })
                }
            }
        }
        Ok(())
    }

    /// Hands a vBucket to another node: it takes no more writes, and every other stream of it ends.
    fn die(&mut self, vb: Vbid, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "a vBucket" })?;
        partition.vbucket.set_state(State::Dead, None)?;
        self.end_streams(vb, StreamEndReason::StateChanged, actions);
        self.queued(vb, actions);
        Ok(())
    }

    /// Asks the producer on `peer`, which this node is connected to, to hand a vBucket over.
    ///
    /// # Errors
    /// If the vBucket or the connection is not here.
    pub fn take_over(&mut self, peer: NodeId, vb: Vbid) -> Result<Vec<Action>, NodeError> {
        let wrong = |source| NodeError::Consumer { peer, source };
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "a vBucket" })?;
        let consumer = self.consumers.get_mut(&peer);
        let consumer = consumer.ok_or(NodeError::NotHere {
            what: "a producer's connection",
        })?;
        consumer.close_stream(vb).map_err(wrong)?;
        consumer
            .take_over(vb, partition.vbucket.resume_point())
            .map_err(wrong)?;
        self.followed.insert(vb, peer);
        Ok(vec![Action::ToProducer(peer, consumer.take_output())])
    }

    /// Everything up to the prepare `seqno` is as durable here as it must be: who sent it is told.
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

    /// Tells every connection how late it is.
    pub(in crate::node) fn tick(
        &mut self,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let streamed = streamed!(self);
        for (&peer, (_, producer)) in &mut self.producers {
            let was_busy = producer.has_more();
            producer
                .tick(now, &streamed)
                .map_err(|source| NodeError::Producer { peer, source })?;
            if !was_busy && producer.has_more() {
                actions.push(Action::WakeSender(peer));
            }
        }
        for (&peer, consumer) in &mut self.consumers {
            consumer
                .tick(now)
                .map_err(|source| NodeError::Consumer { peer, source })?;
        }
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

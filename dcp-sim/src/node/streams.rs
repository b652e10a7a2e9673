//! A node's outgoing streams: what its producers see of it, and their steps on the engine.
//!
//! In go consumers' bytes and backfills' outcomes; out come actions. What always holds: every step a producer wants is an
//! action as soon as the event that caused it has been dealt with; its sender is woken once per change from idle to
//! busy (S8).

use std::collections::BTreeMap;

use lowtide_checkpoint::{MemoryState, Quota, Seqno, State, VBucket, Vbid};
use lowtide_persistence::{BackfillOutcome, Flusher};

use super::error::NodeError;
use super::event::Action;
use super::partitions::PartitionTable;
use super::{Node, NodeId};
use crate::fault;
use crate::fault::Fault;
use crate::producer::{Collections, Partitions, Producer, ProducerError, ProducerEvent};
use crate::wire::StreamEndReason;

/// What a producer may know of its node.
pub(super) struct Streamed<'a> {
    pub(super) table: &'a PartitionTable,
    pub(super) flusher: &'a Flusher,
    pub(super) purged: &'a BTreeMap<Vbid, Seqno>,
    pub(super) keeps_collections_highest: bool,
    pub(super) quota: Option<&'a Quota>,
}

/// What a producer may know of the node, beside which its producers can be changed.
macro_rules! streamed {
    ($node:expr) => {
        $crate::node::streams::Streamed {
            table: &$node.partitions,
            flusher: &$node.flusher,
            purged: &$node.purged,
            keeps_collections_highest: $node.config.keeps_collections_highest,
            quota: $node.quota.as_ref(),
        }
    };
}
pub(super) use streamed;

/// Tombstones up to there may be missing in what a node has of a vBucket.
pub(super) fn purge_seqno(
    purged: &BTreeMap<Vbid, Seqno>,
    vb: Vbid,
    vbucket: Option<&VBucket>,
) -> Seqno {
    let on_disk = purged.get(&vb).copied().unwrap_or_default();
    // What came without them, and was not flushed yet.
    vbucket.map_or(on_disk, |vbucket| vbucket.purge_seqno().max(on_disk))
}

impl Partitions for Streamed<'_> {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        self.table.get(vb).map(|partition| &partition.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        if fault::is(Fault::PurgeIsForgotten) {
            return Seqno::ZERO;
        }
        purge_seqno(self.purged, vb, self.vbucket(vb))
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }

    fn collections(&self, vb: Vbid) -> Option<&Collections> {
        // What a purge took away anywhere this node may never have heard of.
        let is_known = self.keeps_collections_highest || self.purge_seqno(vb) == Seqno::ZERO;
        self.table
            .get(vb)
            .filter(|_| is_known)
            .map(|partition| &partition.collections)
    }

    fn has_memory(&self) -> bool {
        self.quota
            .is_none_or(|quota| quota.state() != MemoryState::Full)
    }
}

impl Node {
    pub(super) fn receive_from_consumer(
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

    pub(super) fn backfilled(
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

    pub(super) fn send(
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
    pub(super) fn end_streams(
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
    pub(super) fn prepared(
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
    pub(super) fn tick(&mut self, now: u64, actions: &mut Vec<Action>) -> Result<(), NodeError> {
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

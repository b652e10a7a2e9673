//! A node's outgoing streams: what its producers see of it, and their steps on the engine.
//!
//! In go consumers' bytes and backfills' outcomes; out come actions. What always holds: every step a producer wants is an
//! action as soon as the event that caused it has been dealt with; its sender is woken once per change from idle to
//! busy (S8).

use std::collections::BTreeMap;

use checkpoint::{Seqno, VBucket, Vbid};
use persistence::{BackfillOutcome, Flusher};

use super::partitions::PartitionTable;
use super::{Action, Node, NodeError, NodeId, SEND_BYTES};
use crate::producer::{Partitions, Producer, ProducerError};
use crate::wire::StreamEndReason;

/// What a producer may know of its node.
pub(super) struct Streamed<'a> {
    table: &'a PartitionTable,
    flusher: &'a Flusher,
    purged: &'a BTreeMap<Vbid, Seqno>,
}

impl<'a> Streamed<'a> {
    pub(super) fn of(
        table: &'a PartitionTable,
        flusher: &'a Flusher,
        purged: &'a BTreeMap<Vbid, Seqno>,
    ) -> Self {
        Self { table, flusher, purged }
    }
}

impl Partitions for Streamed<'_> {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        self.table.get(vb).map(|partition| &partition.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        self.purged.get(&vb).copied().unwrap_or_default()
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }
}

impl Node {
    pub(super) fn receive_from_consumer(
        &mut self,
        peer: NodeId,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        self.with_producer(peer, actions, |producer, streamed| producer.receive(bytes, streamed))
    }

    pub(super) fn backfilled(
        &mut self,
        (peer, connection): (NodeId, u64),
        outcome: BackfillOutcome,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        // Nobody waits for it when the connection was lost meanwhile, though there may be a new one.
        if self.producers.get(&peer).is_none_or(|&(current, _)| current != connection) {
            return Ok(());
        }
        self.with_producer(peer, actions, |producer, streamed| {
            producer.backfilled(outcome, streamed).map(drop)
        })
    }

    pub(super) fn send(&mut self, peer: NodeId, actions: &mut Vec<Action>) -> Result<(), NodeError> {
        let streamed = Streamed { table: &self.partitions, flusher: &self.flusher, purged: &self.purged };
        // A connection that is over needs nothing sent, though somebody was told to.
        let Some((connection, producer)) = self.producers.get_mut(&peer) else { return Ok(()) };
        let polled = producer.poll(&streamed, SEND_BYTES);
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
    pub(super) fn end_streams(&mut self, vb: Vbid, reason: StreamEndReason, actions: &mut Vec<Action>) {
        let streamed = Streamed { table: &self.partitions, flusher: &self.flusher, purged: &self.purged };
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
        let streamed = Streamed { table: &self.partitions, flusher: &self.flusher, purged: &self.purged };
        let (connection, producer) =
            self.producers.get_mut(&peer).ok_or(NodeError::NotHere { what: "a consumer's connection" })?;
        let was_busy = producer.has_more();
        step(producer, &streamed).map_err(|source| NodeError::Producer { peer, source })?;
        if !was_busy && producer.has_more() {
            actions.push(Action::WakeSender(peer));
        }
        take_backfills((peer, *connection), producer, actions);
        Ok(())
    }
}

fn take_backfills((peer, connection): (NodeId, u64), producer: &mut Producer, actions: &mut Vec<Action>) {
    let steps = producer.take_backfills().into_iter();
    actions.extend(steps.map(|step| Action::Backfill { peer, connection, step }));
}

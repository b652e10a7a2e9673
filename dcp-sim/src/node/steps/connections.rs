//! Both ends of a node's connections: bytes in, streams and vBuckets moved on, bytes out.
//!
//! What always holds: a vBucket follows one producer at most; the cursors of a connection that is over are given up; a
//! stream is asked for only for a vBucket that is settled (N3); a stream is of one branch (S29).

use bytes::Bytes;
use lowtide_checkpoint::Vbid;

use crate::consumer::{Consumer, ConsumerEvent};
use crate::fault::{self, Fault};
use crate::node::config::NodeId;
use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::Node;
use crate::node::streamed::streamed;
use crate::node::vbuckets::Observation;
use crate::producer::Producer;
use crate::wire::StreamEndReason;

impl Node {
    /// Awaits the consumer on `peer`, whose streams are fed from here. An older connection of its is over.
    pub fn accept(&mut self, peer: NodeId) {
        self.consumer_gone(peer);
        self.accepted += 1;
        let producer =
            Producer::new(&format!("replication:{peer}")).with_limits(self.config.producer);
        self.producers.insert(peer, (self.accepted, producer));
    }

    /// Awaits a client that is no node, whose streams are fed from here. `peer` is a number that no node has. An older
    /// connection of its is over.
    pub fn accept_client(&mut self, peer: NodeId, knows_collections: bool) {
        self.consumer_gone(peer);
        self.accepted += 1;
        let name = format!("client:{peer}");
        let producer = match knows_collections {
            true => Producer::new(&name),
            false => Producer::without_collections(&name),
        };
        let producer = producer.with_limits(self.config.producer);
        self.producers.insert(peer, (self.accepted, producer));
    }

    /// Connects to the producer on `peer` and asks for these vBuckets. An older connection to it is over.
    ///
    /// # Errors
    /// If it lacks one of them.
    pub fn follow(&mut self, peer: NodeId, vbs: &[Vbid]) -> Result<Vec<Action>, NodeError> {
        self.producer_gone(peer);
        let consumer = Consumer::new(&format!("replication:{peer}"), self.config.buffer_bytes)
            .map_err(|source| NodeError::Consumer { peer, source })?;
        self.consumers.insert(peer, consumer);
        self.follow_more(peer, vbs)
    }

    /// Asks for further vBuckets on the connection to `peer`.
    ///
    /// # Errors
    /// If there is no connection, or it lacks one of the vBuckets.
    pub fn follow_more(&mut self, peer: NodeId, vbs: &[Vbid]) -> Result<Vec<Action>, NodeError> {
        let consumer = self.consumers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "a producer's connection",
        })?;
        for &vb in vbs {
            let partition = self
                .partitions
                .get(vb)
                .filter(|_| !self.calls.is_unsettled(vb));
            let partition = partition.ok_or(NodeError::NotHere { what: "a vBucket" })?;
            let asked = consumer.request_stream(vb, partition.vbucket.resume_point());
            asked.map_err(|source| NodeError::Consumer { peer, source })?;
            self.followed.insert(vb, peer);
        }
        Ok(vec![Action::ToProducer(peer, consumer.take_output())])
    }

    /// Where a vBucket's stream comes from, if it has one or has asked for it.
    #[must_use]
    pub fn followed(&self, vb: Vbid) -> Option<NodeId> {
        self.followed.get(&vb).copied()
    }

    /// The vBuckets that have a stream from `peer`, or have asked for one.
    pub fn followed_from(&self, peer: NodeId) -> impl Iterator<Item = Vbid> {
        self.followed
            .iter()
            .filter(move |&(_, &from)| from == peer)
            .map(|(&vb, _)| vb)
    }

    pub(in crate::node) fn producer_gone(&mut self, peer: NodeId) {
        self.consumers.remove(&peer);
        self.followed.retain(|_, from| *from != peer);
    }

    pub(in crate::node) fn consumer_gone(&mut self, peer: NodeId) {
        if let Some((_, mut producer)) = self.producers.remove(&peer) {
            producer.close(&streamed!(self));
            for partition in self.partitions.iter() {
                partition.vbucket.manager().expel();
            }
        }
    }

    pub(in crate::node) fn receive_from_producer(
        &mut self,
        peer: NodeId,
        bytes: Bytes,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let consumer = self.consumers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "a producer's connection",
        })?;
        let received = consumer.receive(bytes, &mut self.partitions);
        let events = received.map_err(|source| NodeError::Consumer { peer, source })?;
        let output = consumer.take_output();
        if !output.is_empty() {
            actions.push(Action::ToProducer(peer, output));
        }
        // Who follows this copy was told of the branch that it had, and must learn of the new one before its first item.
        for vb in self.partitions.take_rebranched() {
            if !fault::is(Fault::BranchChangesUnderStreams) {
                self.end_streams(vb, StreamEndReason::StateChanged, actions);
            }
        }
        for vb in self.partitions.take_changed() {
            self.queued(vb, actions);
        }
        for event in events {
            self.heed(peer, event, actions);
        }
        self.recover_memory();
        Ok(())
    }

    fn heed(&mut self, peer: NodeId, event: ConsumerEvent, actions: &mut Vec<Action>) {
        match event {
            // A message that was refused is the producer's to judge.
            ConsumerEvent::StreamOpened(_) | ConsumerEvent::Refused { .. } => {}
            ConsumerEvent::StateSet { vb, state } => actions.push(Action::StateSet { vb, state }),
            ConsumerEvent::StreamEnded {
                vb,
                reason: StreamEndReason::Ok,
            } => {
                self.followed.remove(&vb);
            }
            ConsumerEvent::Rollback { vb, seqno } => {
                if !self.roll_back(vb, seqno, actions) {
                    actions.push(Action::StreamStopped { peer, event });
                }
            }
            ConsumerEvent::StreamRefused { vb, .. } | ConsumerEvent::StreamEnded { vb, .. } => {
                self.followed.remove(&vb);
                actions.push(Action::StreamStopped { peer, event });
            }
        }
    }

    /// Starts or stops taking note of what streams bring.
    pub fn observe(&mut self, wanted: bool) {
        self.partitions.set_observed(wanted);
    }

    /// What streams have brought since the last call, in order.
    pub fn take_observations(&mut self) -> Vec<Observation> {
        self.partitions.take_observations()
    }
}

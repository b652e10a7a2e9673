//! Connections of a node: opening and closing them, and bytes from producers.
//!
//! # Invariants
//!
//! - A vBucket follows at most one producer.
//! - The cursors of a closed connection are unregistered.
//! - A stream is requested only for a settled vBucket (N3).
//! - A stream belongs to one branch (S29).

use bytes::Bytes;
use lowtide_checkpoint::Vbid;

use crate::consumer::{Consumer, ConsumerEvent, ConsumerOptions};
use crate::fault::{self, Fault};
use crate::node::config::NodeId;
use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::Node;
use crate::node::streamed::streamed;
use crate::node::vbuckets::Observation;
use crate::producer::Producer;
use crate::wire::{KeyForm, StreamEndReason};

impl Node {
    /// Accepts a connection of the consumer on `peer`. It replaces an older connection of that
    /// consumer.
    pub fn accept(&mut self, peer: NodeId) {
        self.consumer_gone(peer);
        self.accepted += 1;
        let producer =
            Producer::new(&format!("replication:{peer}")).with_limits(self.config.producer);
        self.producers.insert(peer, (self.accepted, producer));
    }

    /// Accepts a connection of a client that is not a node. `peer` is a number that no node has. It
    /// replaces an older connection of that client. A client with bare keys sees the default
    /// collection only ([`Producer::without_collections`]).
    pub fn accept_client(&mut self, peer: NodeId, keys: KeyForm) {
        self.consumer_gone(peer);
        self.accepted += 1;
        let name = format!("client:{peer}");
        let producer = match keys {
            KeyForm::Collections => Producer::new(&name),
            KeyForm::Bare => Producer::without_collections(&name),
        };
        let limited = producer.with_limits(self.config.producer);
        self.producers.insert(peer, (self.accepted, limited));
    }

    /// Connects to the producer on `peer` and requests streams of these vBuckets. It replaces an
    /// older connection to that producer.
    ///
    /// # Errors
    /// If the node lacks one of the vBuckets.
    pub fn follow(&mut self, peer: NodeId, vbs: &[Vbid]) -> Result<Vec<Action>, NodeError> {
        self.producer_gone(peer);
        let options = ConsumerOptions::new().with_buffer_bytes(self.config.buffer_bytes);
        let consumer = Consumer::new(&format!("replication:{peer}"), options)
            .map_err(|source| NodeError::Consumer { peer, source })?;
        self.consumers.insert(peer, consumer);
        self.follow_more(peer, vbs)
    }

    /// Requests further streams on the connection to `peer`.
    ///
    /// # Errors
    /// If the connection or one of the vBuckets does not exist.
    pub fn follow_more(&mut self, peer: NodeId, vbs: &[Vbid]) -> Result<Vec<Action>, NodeError> {
        let consumer = self.consumers.get_mut(&peer).ok_or(NodeError::NotHere {
            what: "connection to a producer",
        })?;
        for &vb in vbs {
            let partition = self
                .partitions
                .get(vb)
                .filter(|_| !self.calls.is_unsettled(vb))
                .ok_or(NodeError::NotHere { what: "vBucket" })?;
            consumer
                .request_stream(vb, partition.vbucket.resume_point())
                .map_err(|source| NodeError::Consumer { peer, source })?;
            self.followed.insert(vb, peer);
        }
        Ok(vec![Action::ToProducer(peer, consumer.take_output())])
    }

    /// Returns the node that a vBucket follows, if it has or requested a stream.
    #[must_use]
    pub fn followed(&self, vb: Vbid) -> Option<NodeId> {
        self.followed.get(&vb).copied()
    }

    /// Returns the vBuckets that have or requested a stream from `peer`.
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
            what: "connection to a producer",
        })?;
        let received = consumer.receive(bytes, &mut self.partitions);
        let events = received.map_err(|source| NodeError::Consumer { peer, source })?;
        let output = consumer.take_output();
        if !output.is_empty() {
            actions.push(Action::ToProducer(peer, output));
        }
        // Followers of this copy know its old branch. They must learn of the new one before its
        // first item.
        for vb in self.partitions.take_rebranched() {
            if !fault::is(Fault::BranchChangesUnderStreams) {
                self.end_streams(vb, StreamEndReason::StateChanged, actions);
            }
        }
        for vb in self.partitions.take_changed() {
            self.queued(vb, actions);
        }
        for event in events {
            self.handle_consumer_event(peer, event, actions);
        }
        self.recover_memory();
        Ok(())
    }

    fn handle_consumer_event(
        &mut self,
        peer: NodeId,
        event: ConsumerEvent,
        actions: &mut Vec<Action>,
    ) {
        match event {
            // The producer decides about a refused message.
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

    /// Starts to record observations, for [`Node::take_observations`].
    pub fn observe(&mut self) {
        self.partitions.observe_from_now();
    }

    /// Returns the observations since the last call, in order.
    pub fn take_observations(&mut self) -> Vec<Observation> {
        self.partitions.take_observations()
    }
}

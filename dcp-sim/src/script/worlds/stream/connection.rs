//! A connection between two nodes: a producer, a consumer, and the bytes between them.
//!
//! # Invariants
//!
//! - One message is delivered at a time. Everything that it causes on either side happens before
//!   the next one, except the consumer's output while it is held.

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{Seqno, State, Vbid};

use super::node::StreamNode;
use super::words;
use crate::consumer::{Consumer, ConsumerEvent, ConsumerOptions};
use crate::producer::{Producer, ProducerEvent};
use crate::script::language::ConnectOptions;
use crate::wire::{Command, Frame, KeyForm, Message, StreamEndReason};

/// The connection is unusable.
pub(super) const BROKEN: &str = "broken-connection";

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) from: String,
    pub(super) to: String,
    producer: Producer,
    consumer: Consumer,
    /// Last requested seqno.
    end: Seqno,
    /// `true` while the consumer's output is held.
    pub(super) is_held: bool,
}

impl Connection {
    /// Opens a connection on which the node `to` follows every vBucket of both nodes.
    pub(super) fn open(
        (from, to): (&str, &str),
        (source, follower): (&StreamNode, &StreamNode),
        options: &ConnectOptions,
    ) -> Result<Self, &'static str> {
        let name = format!("replication:{from}->{to}");
        let mut connection = Self {
            from: from.to_owned(),
            to: to.to_owned(),
            producer: Producer::new(&name),
            consumer: Consumer::new(
                &name,
                ConsumerOptions::new()
                    .with_buffer_bytes(options.buffer_bytes)
                    .with_noop_millis(1_000 * u64::from(options.noop_seconds)),
            )
            .map_err(|_| BROKEN)?,
            end: options.end,
            is_held: false,
        };
        for (&vb, partition) in follower
            .partitions
            .iter()
            .filter(|(vb, _)| source.partitions.contains_key(vb))
        {
            partition
                .vbucket
                .set_state(State::Replica, None)
                .map_err(|error| super::node::kind(&error))?;
            let from = partition.vbucket.resume_point();
            connection
                .consumer
                .request_stream_to(vb, from, options.end)
                .map_err(|_| BROKEN)?;
        }
        Ok(connection)
    }

    pub(super) fn take_over(
        &mut self,
        follower: &StreamNode,
        vb: Vbid,
    ) -> Result<(), &'static str> {
        let from = follower.partition(vb)?.vbucket.resume_point();
        self.consumer
            .close_stream(vb)
            .and_then(|()| self.consumer.take_over(vb, from))
            .map_err(|_| BROKEN)
    }

    /// Ends the streams of a vBucket whose state changed.
    pub(super) fn state_changed(&mut self, source: &StreamNode, vb: Vbid) {
        self.producer
            .end_streams(vb, StreamEndReason::StateChanged, source);
    }

    pub(super) fn close(&mut self, source: &StreamNode) {
        self.producer.close(source);
    }

    /// Advances the time of both sides.
    pub(super) fn tick(&mut self, now: u64, source: &StreamNode) -> Result<(), &'static str> {
        self.producer.tick(now, source).map_err(|_| BROKEN)?;
        self.consumer.tick(now).map_err(|_| BROKEN)
    }

    /// Delivers one message. Returns the message and its consequences; empty without a message.
    pub(super) fn deliver(
        &mut self,
        source: &mut StreamNode,
        follower: &mut StreamNode,
    ) -> Result<Vec<String>, &'static str> {
        for &vb in source.partitions.keys() {
            self.producer.notify(vb);
        }
        loop {
            let asked = if self.is_held {
                Bytes::new()
            } else {
                self.consumer.take_output()
            };
            self.producer.receive(&asked, source).map_err(|_| BROKEN)?;
            let has_run = self.serve(source)?;
            let bytes = self.producer.poll(source, 1).map_err(|_| BROKEN)?;
            // The poll may have requested a backfill, which is served before the connection is idle.
            if bytes.is_empty() && asked.is_empty() && !has_run && !self.serve(source)? {
                return Ok(Vec::new());
            }
            let lines = self.arrive(&bytes, follower)?;
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
    }

    /// Serves the producer's requests to its host. Returns `true` if there were any.
    fn serve(&mut self, source: &mut StreamNode) -> Result<bool, &'static str> {
        let mut has_run = false;
        for event in self.producer.take_events() {
            if let ProducerEvent::TakenOver { vb } = event {
                has_run = true;
                let vbucket = &source.partition(vb)?.vbucket;
                vbucket
                    .set_state(State::Dead, None)
                    .map_err(|error| super::node::kind(&error))?;
                self.state_changed(source, vb);
            }
        }
        for step in self.producer.take_backfills() {
            has_run = true;
            let outcome = step.run(&source.engine);
            self.producer
                .backfilled(outcome, source)
                .map_err(|_| BROKEN)?;
        }
        Ok(has_run)
    }

    fn arrive(
        &mut self,
        bytes: &Bytes,
        follower: &mut StreamNode,
    ) -> Result<Vec<String>, &'static str> {
        let mut frames = BytesMut::from(&bytes[..]);
        let mut lines = Vec::new();
        let link = format!("{}->{}", self.from, self.to);
        while let Some(frame) = Frame::decode(&mut frames).map_err(|_| BROKEN)? {
            match Message::decode(&frame).map_err(|_| BROKEN)? {
                Message::Request(request) if request.command == Command::Noop => {
                    lines.push(format!("{link} noop"));
                }
                Message::Request(request) => {
                    let words = words::message(&request, KeyForm::Collections).ok_or(BROKEN)?;
                    lines.push(format!("{link} vb={} {words}", request.vb));
                }
                Message::Response(_) => {}
            }
        }
        for event in self
            .consumer
            .receive(bytes.clone(), follower)
            .map_err(|_| BROKEN)?
        {
            match event {
                ConsumerEvent::Rollback { vb, seqno } => {
                    lines.push(format!("{link} vb={vb} rollback {seqno}"));
                    follower.roll_back(vb, seqno)?;
                    let from = follower.partition(vb)?.vbucket.resume_point();
                    self.consumer
                        .request_stream_to(vb, from, self.end)
                        .map_err(|_| BROKEN)?;
                }
                ConsumerEvent::StreamRefused { vb, status } => {
                    lines.push(format!("{link} vb={vb} status {}", words::status(status)));
                }
                ConsumerEvent::Refused { vb, status } => {
                    lines.push(format!("{link} vb={vb} refused {}", words::status(status)));
                }
                ConsumerEvent::StreamOpened(_)
                | ConsumerEvent::StateSet { .. }
                | ConsumerEvent::StreamEnded { .. } => {}
            }
        }
        Ok(lines)
    }
}

//! The receiving side of a connection: a producer's streams in, snapshots applied to replica vBuckets. No I/O, no
//! clock.
//!
//! The host hands over the bytes that arrive ([`Consumer::receive`]), asks for streams ([`Consumer::request_stream`])
//! and takes bytes to send ([`Consumer::take_output`]). What always holds (`docs/invariants.md`, S5 to S7): an item is
//! applied only to the stream it was requested for, inside the snapshot last announced; every byte that counts is
//! acknowledged, at the latest when half the buffer is used up.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use checkpoint::{
    FailoverLog, FailoverLogError, Item, ResumePoint, Seqno, SnapshotMarker, VBucketError, Vbid,
};

use crate::wire::{
    Command, Control, Frame, KeyForm, Message, Opcode, Open, OpenFlags, Reply, Request, Response, Status,
    StreamEndReason, StreamRequest, StreamRequestFlags, WireError,
};

mod ack;

use ack::Acknowledgements;

/// Where what arrives is applied.
pub trait Replicas {
    /// A stream was opened: these are its vBucket's branches now.
    ///
    /// # Errors
    /// If the node has no such vBucket.
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError>;

    /// A snapshot begins, or goes on.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError>;

    /// An item of the snapshot.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError>;
}

/// What a host must act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// A stream is open.
    StreamOpened(Vbid),
    /// The vBucket must give up everything after that seqno, and then ask again.
    Rollback {
        /// The vBucket.
        vb: Vbid,
        /// The last seqno it may keep.
        seqno: Seqno,
    },
    /// A stream was refused.
    StreamRefused {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        status: Status,
    },
    /// A stream is over.
    StreamEnded {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        reason: StreamEndReason,
    },
}

/// Why a connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Bytes that are no frames or no messages.
    #[error("the producer's bytes make no sense: {0}")]
    Wire(#[from] WireError),
    /// A message that belongs to no stream of ours.
    #[error("{opcode} for vBucket {vb} with opaque {opaque:#x} belongs to no stream")]
    NoSuchStream {
        /// The command.
        opcode: Opcode,
        /// The vBucket it names.
        vb: Vbid,
        /// The opaque it carries.
        opaque: u32,
    },
    /// A message that only consumers send.
    #[error("{opcode} is not what a producer sends")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The producer refused something no stream can go without.
    #[error("{opcode} was refused: {status}")]
    Refused {
        /// What was asked.
        opcode: Opcode,
        /// The answer.
        status: Status,
    },
    /// A branch list that is none.
    #[error("vBucket {vb}: {source}")]
    FailoverLog {
        /// The vBucket.
        vb: Vbid,
        /// What is wrong with it.
        source: FailoverLogError,
    },
    /// The replica refused what the stream brought: it breaks the snapshot.
    #[error(transparent)]
    Replica(#[from] VBucketError),
}

/// One vBucket's stream, as its consumer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassiveStream {
    Requested { opaque: u32 },
    Open { opaque: u32 },
}

/// The consumer of one connection.
#[derive(Debug)]
pub struct Consumer {
    streams: BTreeMap<Vbid, PassiveStream>,
    next_opaque: u32,
    acknowledgements: Acknowledgements,
    input: BytesMut,
    output: Vec<u8>,
}

impl Consumer {
    /// The consumer of a connection that was just made: it opens it under `name` with a flow-control buffer of
    /// `buffer_bytes`.
    ///
    /// # Errors
    /// If the name can't be sent.
    pub fn new(name: &str, buffer_bytes: u32) -> Result<Self, ConsumerError> {
        let mut consumer = Self {
            streams: BTreeMap::new(),
            next_opaque: 1,
            acknowledgements: Acknowledgements::new(buffer_bytes),
            input: BytesMut::new(),
            output: Vec::new(),
        };
        let flags = OpenFlags::PRODUCER.with(OpenFlags::INCLUDE_XATTRS).with(OpenFlags::INCLUDE_DELETE_TIMES);
        let open = Open { flags, name: Bytes::copy_from_slice(name.as_bytes()), options: Bytes::new() };
        consumer.ask(Vbid(0), Command::Open(open))?;
        let buffer = buffer_bytes.to_string();
        for (key, value) in [
            ("enable_noop", "true"),
            ("supports_cursor_dropping_vulcan", "true"),
            ("connection_buffer_size", buffer.as_str()),
            ("max_marker_version", "2.2"),
            ("enable_expiry_opcode", "true"),
        ] {
            let (key, value) = (key.as_bytes(), value.as_bytes());
            let control = Control { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) };
            consumer.ask(Vbid(0), Command::Control(control))?;
        }
        Ok(consumer)
    }

    /// Asks for everything of a vBucket from where it stands, without end.
    ///
    /// # Errors
    /// If the request can't be sent.
    pub fn request_stream(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), ConsumerError> {
        let request = StreamRequest {
            flags: StreamRequestFlags::NONE,
            start: from.seqno,
            end: Seqno::MAX,
            uuid: from.uuid,
            snapshot_start: from.snapshot_start,
            snapshot_end: from.snapshot_end,
            filter: Bytes::new(),
        };
        let opaque = self.ask(vb, Command::StreamRequest(request))?;
        self.streams.insert(vb, PassiveStream::Requested { opaque });
        Ok(())
    }

    /// Takes bytes from the producer and applies what they bring. Answers wait for [`Consumer::take_output`].
    ///
    /// # Errors
    /// When the connection must be closed. What came before the offending message is applied.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        replicas: &mut impl Replicas,
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.input.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(frame) = Frame::decode(&mut self.input)? {
            match Message::decode(&frame)? {
                Message::Request(request) => {
                    let counted = request.flow_control_bytes();
                    events.extend(self.request(&request, replicas)?);
                    self.acknowledge(counted)?;
                }
                Message::Response(response) => events.extend(self.response(&response, replicas)?),
            }
        }
        Ok(events)
    }

    /// Takes the bytes to send.
    pub fn take_output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.output))
    }

    fn request(
        &mut self,
        request: &Request,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        match &request.command {
            Command::Noop => {
                self.respond(&Response::to(request, Status::SUCCESS))?;
                return Ok(None);
            }
            Command::SnapshotMarker(marker) => {
                self.require_stream(request)?;
                replicas.apply_marker(request.vb, marker.to_snapshot())?;
            }
            Command::StreamEnd(reason) => {
                self.require_stream(request)?;
                self.streams.remove(&request.vb);
                return Ok(Some(ConsumerEvent::StreamEnded { vb: request.vb, reason: *reason }));
            }
            Command::Mutation(_)
            | Command::Deletion(_)
            | Command::Expiration(_)
            | Command::SystemEvent(_) => {
                self.require_stream(request)?;
                replicas.apply_item(request.vb, request.to_item(KeyForm::Collections)?)?;
            }
            command => return Err(ConsumerError::Unexpected { opcode: command.opcode() }),
        }
        Ok(None)
    }

    fn response(
        &mut self,
        response: &Response,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let (opcode, status) = (response.reply.opcode(), response.reply.status());
        if opcode != Opcode::DCP_STREAM_REQ {
            // Options a producer does not know are options we can do without; an open it refuses is the end.
            let is_fatal = opcode == Opcode::DCP_OPEN && !status.is_success();
            return if is_fatal { Err(ConsumerError::Refused { opcode, status }) } else { Ok(None) };
        }
        let requested = PassiveStream::Requested { opaque: response.opaque };
        let stream = self.streams.iter().find(|(_, stream)| **stream == requested).map(|(&vb, _)| vb);
        let vb =
            stream.ok_or(ConsumerError::NoSuchStream { opcode, vb: Vbid(0), opaque: response.opaque })?;
        match &response.reply {
            Reply::StreamAccepted(entries) => {
                let log = FailoverLog::from_entries(entries.clone());
                let log = log.map_err(|source| ConsumerError::FailoverLog { vb, source })?;
                replicas.adopt_failover_log(vb, log)?;
                self.streams.insert(vb, PassiveStream::Open { opaque: response.opaque });
                Ok(Some(ConsumerEvent::StreamOpened(vb)))
            }
            Reply::Rollback(seqno) => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::Rollback { vb, seqno: *seqno }))
            }
            _ => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::StreamRefused { vb, status }))
            }
        }
    }

    fn require_stream(&self, request: &Request) -> Result<(), ConsumerError> {
        let open = PassiveStream::Open { opaque: request.opaque };
        if self.streams.get(&request.vb) == Some(&open) {
            return Ok(());
        }
        let (opcode, vb, opaque) = (request.command.opcode(), request.vb, request.opaque);
        Err(ConsumerError::NoSuchStream { opcode, vb, opaque })
    }

    fn acknowledge(&mut self, bytes: u32) -> Result<(), ConsumerError> {
        if let Some(bytes) = self.acknowledgements.received(bytes) {
            Request::new(Vbid(0), 0, Command::BufferAck(bytes)).encode(&mut self.output)?;
        }
        Ok(())
    }

    fn ask(&mut self, vb: Vbid, command: Command) -> Result<u32, ConsumerError> {
        let opaque = self.next_opaque;
        self.next_opaque = self.next_opaque.wrapping_add(1);
        Request::new(vb, opaque, command).encode(&mut self.output)?;
        Ok(opaque)
    }

    fn respond(&mut self, response: &Response) -> Result<(), ConsumerError> {
        Ok(response.encode(&mut self.output)?)
    }
}

#[cfg(test)]
mod tests;

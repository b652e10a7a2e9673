//! The receiving side of a connection: a producer's streams in, snapshots applied to replica vBuckets. No I/O, no
//! clock.
//!
//! The host hands over the bytes that arrive ([`Consumer::receive`]), asks for streams ([`Consumer::request_stream`],
//! [`Consumer::take_over`]), says what became durable ([`Consumer::prepared`]) and how late it is ([`Consumer::tick`]), and
//! takes bytes to send ([`Consumer::take_output`]). What always holds (`docs/invariants.md`, S5 to S7, S15): an item is applied
//! only to the stream it was requested for, inside the snapshot last announced; what is not is answered with its status and
//! changes nothing; every byte that counts is acknowledged, at the latest when half the buffer is used up.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{FailoverLog, ResumePoint, Seqno, Vbid};

use crate::idle_timeout::IdleTimer;
use crate::wire::{
    Command, Frame, Head, KeyForm, MarkerFlags, Message, Opcode, Reply, Request, Response, Status,
    StreamRequest, StreamRequestFlags, WireError,
};
use ack::Acknowledgements;
use negotiation::Granted;
use replicas::status_of;

mod ack;
mod error;
mod negotiation;
mod replicas;

pub use error::ConsumerError;
pub use replicas::{ConsumerEvent, Replicas};

/// Seconds between no-operations, as Couchbase's replicas ask for.
const NOOP_SECONDS: u32 = 20;

/// One vBucket's stream, as its consumer knows it.
#[derive(Clone, Copy, Debug)]
struct PassiveStream {
    opaque: u32,
    is_open: bool,
    /// End of the last snapshot, if its marker is to be answered once it is whole.
    unanswered: Option<Seqno>,
    /// The last prepare the producer was told to be durable here.
    prepared: Seqno,
}

/// The consumer of one connection.
#[derive(Debug)]
pub struct Consumer {
    streams: BTreeMap<Vbid, PassiveStream>,
    /// Requests in whose place others were made before they were answered.
    given_up: BTreeSet<u32>,
    next_opaque: u32,
    granted: Granted,
    acknowledgements: Acknowledgements,
    idle: IdleTimer,
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
        Self::with_noop_interval(name, buffer_bytes, NOOP_SECONDS)
    }

    /// The same, with so many seconds between the producer's no-operations.
    ///
    /// # Errors
    /// If the name can't be sent.
    pub fn with_noop_interval(
        name: &str,
        buffer_bytes: u32,
        noop_seconds: u32,
    ) -> Result<Self, ConsumerError> {
        let mut consumer = Self {
            streams: BTreeMap::new(),
            given_up: BTreeSet::new(),
            next_opaque: 1,
            granted: Granted::default(),
            acknowledgements: Acknowledgements::new(buffer_bytes),
            idle: IdleTimer::default(),
            input: BytesMut::new(),
            output: Vec::new(),
        };
        consumer.negotiate(name, buffer_bytes, noop_seconds)?;
        Ok(consumer)
    }

    /// Asks for everything of a vBucket from where it stands, without end.
    ///
    /// # Errors
    /// If the request can't be sent.
    pub fn request_stream(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), ConsumerError> {
        self.request(vb, from, Seqno::MAX, StreamRequestFlags::NONE)
    }

    /// The same, up to the snapshot that has the seqno `end`.
    ///
    /// # Errors
    /// If the request can't be sent.
    pub fn request_stream_to(
        &mut self,
        vb: Vbid,
        from: ResumePoint,
        end: Seqno,
    ) -> Result<(), ConsumerError> {
        self.request(vb, from, end, StreamRequestFlags::NONE)
    }

    /// The same, and to be handed the vBucket over in the end.
    ///
    /// # Errors
    /// If the request can't be sent.
    pub fn take_over(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), ConsumerError> {
        self.request(vb, from, Seqno::MAX, StreamRequestFlags::TAKEOVER)
    }

    /// Asks for the end of a vBucket's stream, if there is one. What is under way until the answer is still applied.
    ///
    /// # Errors
    /// If the request can't be sent.
    pub fn close_stream(&mut self, vb: Vbid) -> Result<(), ConsumerError> {
        if self.streams.contains_key(&vb) {
            self.ask(vb, Command::CloseStream)?;
        }
        Ok(())
    }

    /// Every prepare of the vBucket up to there is as durable here as it must be. The producer is told, once for each seqno,
    /// if it wants to know.
    ///
    /// # Errors
    /// If it can't be sent.
    pub fn prepared(&mut self, vb: Vbid, seqno: Seqno) -> Result<(), ConsumerError> {
        let Some(stream) = self.streams.get_mut(&vb).filter(|stream| stream.is_open) else {
            return Ok(());
        };
        if self.granted.sync_writes && seqno > stream.prepared {
            stream.prepared = seqno;
            self.ask(vb, Command::SeqnoAck(seqno))?;
        }
        Ok(())
    }

    /// Says how late it is, in nanoseconds; the host does so now and then.
    ///
    /// # Errors
    /// [`ConsumerError::Silent`] when nothing came for so long that the connection must be dead.
    pub fn tick(&mut self, now: u64) -> Result<(), ConsumerError> {
        self.idle
            .tick(now)
            .map_err(|nanos| ConsumerError::Silent { nanos })
    }

    /// Takes bytes from the producer and applies what they bring. Answers wait for [`Consumer::take_output`].
    ///
    /// # Errors
    /// When the connection must be closed. What came before the offending message is applied.
    pub fn receive(
        &mut self,
        mut bytes: Bytes,
        replicas: &mut impl Replicas,
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.idle.reset();
        let mut events = Vec::new();
        while let Some(frame) = self.next_frame(&mut bytes)? {
            let counted = crate::wire::flow_control_bytes(&frame);
            match (Message::decode(&frame), frame.head) {
                (Ok(Message::Request(request)), _) => events.extend(self.take(&request, replicas)?),
                (Ok(Message::Response(response)), _) => {
                    events.extend(self.response(&response, replicas)?)
                }
                // A command of another time, or one that only Couchbase's own nodes know: it is refused, the next is sound.
                (Err(error), Head::Request(_)) => {
                    let status = error.status().ok_or(error)?;
                    self.respond(&Response::status(frame.opcode, frame.opaque, status))?;
                }
                (Err(error), Head::Response(_)) => return Err(error.into()),
            }
            self.acknowledge(counted)?;
        }
        Ok(events)
    }

    /// The next frame of what has arrived. Frames that came whole share its bytes; only the rest is copied, to wait for what
    /// is to come.
    fn next_frame(&mut self, arrived: &mut Bytes) -> Result<Option<Frame>, WireError> {
        if self.input.is_empty()
            && let Some(frame) = Frame::decode_bytes(arrived)?
        {
            return Ok(Some(frame));
        }
        self.input.extend_from_slice(&std::mem::take(arrived));
        Frame::decode(&mut self.input)
    }

    /// Takes the bytes to send.
    pub fn take_output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.output))
    }

    fn request(
        &mut self,
        vb: Vbid,
        from: ResumePoint,
        end: Seqno,
        flags: StreamRequestFlags,
    ) -> Result<(), ConsumerError> {
        let request = StreamRequest {
            flags,
            start: from.seqno,
            end,
            uuid: from.uuid,
            snapshot_start: from.snapshot_start,
            snapshot_end: from.snapshot_end,
            filter: Bytes::new(),
        };
        let opaque = self.ask(vb, Command::StreamRequest(request))?;
        let (is_open, prepared) = (false, Seqno::ZERO);
        let before = self.streams.insert(
            vb,
            PassiveStream {
                opaque,
                is_open,
                unanswered: None,
                prepared,
            },
        );
        self.given_up.extend(
            before
                .filter(|stream| !stream.is_open)
                .map(|stream| stream.opaque),
        );
        Ok(())
    }

    /// A request of the producer: part of a stream, or about the connection.
    fn take(
        &mut self,
        request: &Request,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let vb = request.vb;
        match &request.command {
            Command::Noop => {
                self.respond(&Response::to(request, Status::SUCCESS))?;
                return Ok(None);
            }
            command if !command.opcode().is_stream_message() => {
                return Err(ConsumerError::Unexpected {
                    opcode: command.opcode(),
                });
            }
            _ => {}
        }
        let applied = self
            .require_stream(request)
            .and_then(|()| match &request.command {
                Command::SnapshotMarker(marker) => replicas
                    .apply_marker(vb, marker.to_snapshot())
                    .map_err(|error| status_of(&error)),
                Command::StreamEnd(_) => Ok(()),
                Command::SeqnoAdvanced(seqno) => replicas
                    .advance(vb, *seqno)
                    .map_err(|error| status_of(&error)),
                Command::SetVBucketState(state) => replicas
                    .set_state(vb, *state)
                    .map_err(|error| status_of(&error)),
                _ => match request.to_item(KeyForm::Collections) {
                    Ok(item) => replicas
                        .apply_item(vb, item)
                        .map_err(|error| status_of(&error)),
                    Err(error) => Err(error.status().unwrap_or(Status::INVALID)),
                },
            });
        if let Err(status) = applied {
            self.respond(&Response::to(request, status))?;
            return match status {
                // What follows would leave a hole.
                Status::NOT_MY_VBUCKET | Status::TOO_BIG | Status::UNKNOWN_COLLECTION => {
                    self.give_up(vb, status).map(Some)
                }
                _ => Ok(Some(ConsumerEvent::Refused { vb, status })),
            };
        }
        self.applied(request)
    }

    /// The vBucket takes nothing now, or can't store what it was sent: what it is sent is lost to it, also when it follows again later, and a stream that went
    /// on would leave a hole.
    fn give_up(&mut self, vb: Vbid, status: Status) -> Result<ConsumerEvent, ConsumerError> {
        self.streams.remove(&vb);
        self.ask(vb, Command::CloseStream)?;
        Ok(ConsumerEvent::StreamRefused { vb, status })
    }

    /// What follows from a message that was applied.
    fn applied(&mut self, request: &Request) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let vb = request.vb;
        match &request.command {
            Command::SnapshotMarker(marker) => {
                let end = Some(marker.end).filter(|_| marker.flags.contains(MarkerFlags::ACK));
                if let Some(stream) = self.streams.get_mut(&vb) {
                    stream.unanswered = end;
                }
                Ok(None)
            }
            Command::StreamEnd(reason) => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::StreamEnded {
                    vb,
                    reason: *reason,
                }))
            }
            Command::SetVBucketState(state) => {
                self.respond(&Response::to(request, Status::SUCCESS))?;
                Ok(Some(ConsumerEvent::StateSet { vb, state: *state }))
            }
            command => {
                if let (Some(stream), Some(seqno)) = (self.streams.get_mut(&vb), command.seqno())
                    && stream.unanswered.take_if(|end| *end <= seqno).is_some()
                {
                    let marker = Opcode::DCP_SNAPSHOT_MARKER;
                    self.respond(&Response::status(marker, request.opaque, Status::SUCCESS))?;
                }
                Ok(None)
            }
        }
    }

    fn response(
        &mut self,
        response: &Response,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let (opcode, status, opaque) = (
            response.reply.opcode(),
            response.reply.status(),
            response.opaque,
        );
        match opcode {
            Opcode::DCP_STREAM_REQ => {}
            Opcode::DCP_OPEN if !status.is_success() => {
                return Err(ConsumerError::Refused { opcode, status });
            }
            Opcode::DCP_CONTROL => {
                self.granted.take(response);
                return Ok(None);
            }
            _ => return Ok(None),
        }
        if self.given_up.remove(&opaque) {
            return Ok(None);
        }
        let asked =
            |(_, stream): &(&Vbid, &PassiveStream)| stream.opaque == opaque && !stream.is_open;
        let vb = self.streams.iter().find(asked).map(|(&vb, _)| vb);
        let vb = vb.ok_or(ConsumerError::NoSuchRequest { opaque })?;
        match &response.reply {
            Reply::StreamAccepted(entries) => {
                let log = FailoverLog::from_entries(entries.clone());
                let log = log.map_err(|source| ConsumerError::FailoverLog { vb, source })?;
                if let Err(error) = replicas.adopt_failover_log(vb, log) {
                    // There is nothing to apply it to any more.
                    return self.give_up(vb, status_of(&error)).map(Some);
                }
                if let Some(stream) = self.streams.get_mut(&vb) {
                    stream.is_open = true;
                }
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

    /// The stream that a message says it belongs to, or what is wrong with that.
    fn require_stream(&self, request: &Request) -> Result<(), Status> {
        let no_stream = if self.granted.v7_statuses {
            Status::STREAM_NOT_FOUND
        } else {
            Status::NOT_FOUND
        };
        let another = if self.granted.v7_statuses {
            Status::OPAQUE_MISMATCH
        } else {
            Status::EXISTS
        };
        match self
            .streams
            .get(&request.vb)
            .filter(|stream| stream.is_open)
        {
            None => Err(no_stream),
            Some(stream) if stream.opaque != request.opaque => Err(another),
            Some(_) => Ok(()),
        }
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

//! [`Consumer`]: entry points of the host, and the input and output of one connection.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lowtide_checkpoint::{ResumePoint, Seqno, Vbid};

use super::ack::Acknowledgements;
use super::error::ConsumerError;
use super::granted::Granted;
use super::options::ConsumerOptions;
use super::replicas::{ConsumerEvent, Replicas};
use crate::idle_timeout::IdleTimer;
use crate::wire::{
    Command, FrameBuffer, Head, Message, Request, Response, StreamRequest, StreamRequestFlags,
};

/// State of one vBucket's stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct PassiveStream {
    pub(super) opaque: u32,
    pub(super) is_open: bool,
    /// End of the last snapshot, if its marker is answered once the snapshot is complete.
    pub(super) unanswered: Option<Seqno>,
    /// Last durable prepare that was acknowledged to the producer.
    prepared: Seqno,
}

/// Consumer of one connection.
#[derive(Debug)]
pub struct Consumer {
    pub(super) streams: BTreeMap<Vbid, PassiveStream>,
    /// Opaques of requests that a later request replaced before they were answered.
    pub(super) replaced_requests: BTreeSet<u32>,
    next_opaque: u32,
    pub(super) granted: Granted,
    acknowledgements: Acknowledgements,
    idle: IdleTimer,
    input: FrameBuffer,
    output: Vec<u8>,
}

impl Consumer {
    /// Creates the consumer of a new connection, which opens it under `name`.
    ///
    /// # Errors
    /// [`ConsumerError::Wire`] if the name is too long to be encoded.
    pub fn new(name: &str, options: ConsumerOptions) -> Result<Self, ConsumerError> {
        let mut consumer = Self {
            streams: BTreeMap::new(),
            replaced_requests: BTreeSet::new(),
            next_opaque: 1,
            granted: Granted::default(),
            acknowledgements: Acknowledgements::new(options.buffer_bytes),
            idle: IdleTimer::default(),
            input: FrameBuffer::default(),
            output: Vec::new(),
        };
        consumer.negotiate(name, &options)?;
        Ok(consumer)
    }

    /// Requests the stream of a vBucket from its current position, without end.
    ///
    /// # Errors
    /// If the request cannot be encoded.
    pub fn request_stream(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), ConsumerError> {
        self.request(vb, from, Seqno::MAX, StreamRequestFlags::NONE)
    }

    /// Same as [`Consumer::request_stream`], up to the snapshot that contains the seqno `end`.
    ///
    /// # Errors
    /// If the request cannot be encoded.
    pub fn request_stream_to(
        &mut self,
        vb: Vbid,
        from: ResumePoint,
        end: Seqno,
    ) -> Result<(), ConsumerError> {
        self.request(vb, from, end, StreamRequestFlags::NONE)
    }

    /// Same as [`Consumer::request_stream`], and takes the vBucket over at the end.
    ///
    /// # Errors
    /// If the request cannot be encoded.
    pub fn take_over(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), ConsumerError> {
        self.request(vb, from, Seqno::MAX, StreamRequestFlags::TAKEOVER)
    }

    /// Requests the end of a vBucket's stream, if it has one. Messages that arrive before the
    /// answer are still applied.
    ///
    /// # Errors
    /// If the request cannot be encoded.
    pub fn close_stream(&mut self, vb: Vbid) -> Result<(), ConsumerError> {
        if self.streams.contains_key(&vb) {
            self.ask(vb, Command::CloseStream)?;
        }
        Ok(())
    }

    /// Reports that every prepare of the vBucket up to `seqno` is durable on this node. The
    /// producer is informed once for each seqno, if it granted durable writes.
    ///
    /// # Errors
    /// If the acknowledgement cannot be encoded.
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

    /// Passes in the time, in nanoseconds. The host calls it now and then.
    ///
    /// # Errors
    /// [`ConsumerError::Silent`] when the connection was idle for too long.
    pub fn tick(&mut self, now: u64) -> Result<(), ConsumerError> {
        self.idle
            .tick(now)
            .map_err(|nanos| ConsumerError::Silent { nanos })
    }

    /// Receives bytes from the producer and applies the messages in them. Answers wait for
    /// [`Consumer::take_output`].
    ///
    /// # Errors
    /// When the connection must be closed. The messages before the invalid one are applied.
    pub fn receive(
        &mut self,
        mut bytes: Bytes,
        replicas: &mut impl Replicas,
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.idle.reset();
        let mut events = Vec::new();
        while let Some(frame) = self.input.next_frame(&mut bytes)? {
            let counted = crate::wire::flow_control_bytes(&frame);
            match (Message::decode(&frame), frame.head) {
                (Ok(Message::Request(request)), _) => {
                    events.extend(self.handle_request(&request, replicas)?)
                }
                (Ok(Message::Response(response)), _) => {
                    events.extend(self.handle_response(&response, replicas)?)
                }
                // A command of another version, or one between Couchbase nodes: it is refused, and
                // the next frame is sound.
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
        let stream = PassiveStream {
            opaque,
            is_open: false,
            unanswered: None,
            prepared: Seqno::ZERO,
        };
        let replaced = self.streams.insert(vb, stream);
        self.replaced_requests.extend(
            replaced
                .filter(|stream| !stream.is_open)
                .map(|stream| stream.opaque),
        );
        Ok(())
    }

    fn acknowledge(&mut self, bytes: u32) -> Result<(), ConsumerError> {
        if let Some(due) = self.acknowledgements.received(bytes)? {
            Request::new(Vbid(0), 0, Command::BufferAck(due)).encode(&mut self.output)?;
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, vb: Vbid, command: Command) -> Result<u32, ConsumerError> {
        let opaque = self.next_opaque;
        // Requests that many numbers apart were answered long ago.
        self.next_opaque = self.next_opaque.wrapping_add(1);
        Request::new(vb, opaque, command).encode(&mut self.output)?;
        Ok(opaque)
    }

    pub(super) fn respond(&mut self, response: &Response) -> Result<(), ConsumerError> {
        Ok(response.encode(&mut self.output)?)
    }
}

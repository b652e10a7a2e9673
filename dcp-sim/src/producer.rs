//! The sending side of a connection: a consumer's requests in, streams of snapshots out. No I/O, no clock.
//!
//! The host hands over the bytes that arrive ([`Producer::receive`]), says which vBuckets have something new
//! ([`Producer::notify`]) and takes bytes to send ([`Producer::poll`]). What always holds (`docs/invariants.md`, S1
//! to S4): a stream's first message is a marker; its snapshots follow one another without overlap; inside each the
//! seqnos rise and stay within the marker's range; no more than one message passes the consumer's buffer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use checkpoint::{CheckpointError, Seqno, VBucket, Vbid};

use crate::wire::{
    Command, Frame, Message, Opcode, OpenFlags, Reply, Request, Response, Status, StreamEndReason, WireError,
};

mod active_stream;
mod control;
mod flow_control;
mod rollback;
mod stream_request;

pub use flow_control::FlowControl;
pub use rollback::{ClientPosition, History, rollback_to};

use active_stream::ActiveStream;
use control::Options;

/// The vBuckets a producer may stream from.
pub trait Partitions {
    /// The vBucket of that number, if this node has it.
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket>;

    /// The highest tombstone that was purged from its disk.
    fn purge_seqno(&self, vb: Vbid) -> Seqno;
}

/// Why a connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// Bytes that are no frames, or no messages that can be answered.
    #[error("the consumer's bytes make no sense: {0}")]
    Wire(#[from] WireError),
    /// A message that only producers send, or one before the connection was opened.
    #[error("{opcode} is not what a consumer sends here")]
    Unexpected {
        /// The command.
        opcode: Opcode,
    },
    /// The vBucket's memory refused, which it never does to a live stream.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        source: CheckpointError,
    },
}

/// The producer of one connection.
#[derive(Debug)]
pub struct Producer {
    /// Distinguishes this connection's cursors from others'.
    name: String,
    opened: Option<OpenFlags>,
    options: Options,
    flow: FlowControl,
    streams: BTreeMap<Vbid, ActiveStream>,
    /// Streams that may have something to send, each once, in the order they became so.
    ready: VecDeque<Vbid>,
    is_ready: BTreeSet<Vbid>,
    /// vBuckets whose cursor has moved since somebody asked.
    read: BTreeSet<Vbid>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Producer {
    /// The producer of a connection that was just made. `name` must differ from those of the node's other connections.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            opened: None,
            options: Options::default(),
            flow: FlowControl::default(),
            streams: BTreeMap::new(),
            ready: VecDeque::new(),
            is_ready: BTreeSet::new(),
            read: BTreeSet::new(),
            input: BytesMut::new(),
            output: Vec::new(),
        }
    }

    /// Takes bytes from the consumer. Answers wait for [`Producer::poll`].
    ///
    /// # Errors
    /// When the connection must be closed; call [`Producer::close`] then.
    pub fn receive(&mut self, bytes: &[u8], partitions: &impl Partitions) -> Result<(), ProducerError> {
        self.input.extend_from_slice(bytes);
        while let Some(frame) = Frame::decode(&mut self.input)? {
            match Message::decode(&frame) {
                Ok(Message::Request(request)) => self.request(&request, partitions)?,
                // Nothing we send asks for an answer yet.
                Ok(Message::Response(response)) => {
                    return Err(ProducerError::Unexpected { opcode: response.reply.opcode() });
                }
                Err(error) => {
                    let status = error.status().ok_or(error)?;
                    self.respond(&Response::status(frame.opcode, frame.opaque, status))?;
                }
            }
        }
        Ok(())
    }

    /// Says that a vBucket has something new. Returns whether a stream was idle and is not any more: only then does
    /// the host need to call [`Producer::poll`].
    pub fn notify(&mut self, vb: Vbid) -> bool {
        self.streams.contains_key(&vb) && self.make_ready(vb)
    }

    /// Takes the bytes to send now: answers, and then stream messages while flow control lets them pass, until there
    /// are `budget_bytes` or more. Streams take turns. Call it again while [`Producer::has_more`].
    ///
    /// # Errors
    /// When the connection must be closed.
    pub fn poll(
        &mut self,
        partitions: &impl Partitions,
        budget_bytes: usize,
    ) -> Result<Bytes, ProducerError> {
        while self.output.len() < budget_bytes && self.flow.may_send() {
            let Some(vb) = self.ready.pop_front() else { break };
            self.is_ready.remove(&vb);
            self.send_from(vb, partitions, budget_bytes)?;
        }
        Ok(Bytes::from(std::mem::take(&mut self.output)))
    }

    /// Whether there is something to send that flow control lets pass.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.output.is_empty() || (!self.ready.is_empty() && self.flow.may_send())
    }

    /// The vBuckets that were read from since the last call: what their cursors have passed may be expelled.
    pub fn take_read(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.read)
    }

    /// Gives up every stream's cursor. The connection is over.
    pub fn close(&mut self, partitions: &impl Partitions) {
        for (vb, stream) in std::mem::take(&mut self.streams) {
            if let Some(vbucket) = partitions.vbucket(vb) {
                stream.close(vbucket);
            }
        }
        self.ready.clear();
        self.is_ready.clear();
    }

    /// How far the stream of a vBucket has come: the last seqno sent.
    #[must_use]
    pub fn sent_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.streams.get(&vb).map(ActiveStream::sent_seqno)
    }

    /// Its flow control.
    #[must_use]
    pub fn flow_control(&self) -> FlowControl {
        self.flow
    }

    fn request(&mut self, request: &Request, partitions: &impl Partitions) -> Result<(), ProducerError> {
        match &request.command {
            Command::Open(open) => {
                let is_first = self.opened.is_none() && open.flags.contains(OpenFlags::PRODUCER);
                self.opened = self.opened.or(is_first.then_some(open.flags));
                self.respond(&Response::to(request, if is_first { Status::SUCCESS } else { Status::INVALID }))
            }
            command if self.opened.is_none() => Err(ProducerError::Unexpected { opcode: command.opcode() }),
            Command::Control(control) => {
                let status = self.options.set(control, &mut self.flow);
                self.respond(&Response::to(request, status))
            }
            Command::StreamRequest(wanted) => self.open_stream(request, wanted, partitions),
            Command::CloseStream => self.close_stream(request, partitions),
            Command::GetFailoverLog => match partitions.vbucket(request.vb) {
                Some(vbucket) => {
                    let entries = vbucket.failover_log().entries().to_vec();
                    let reply = Reply::FailoverLog { opcode: request.command.opcode(), entries };
                    self.respond(&Response { opaque: request.opaque, reply })
                }
                None => self.respond(&Response::to(request, Status::NOT_MY_VBUCKET)),
            },
            Command::BufferAck(bytes) => {
                self.flow.acknowledged(*bytes);
                Ok(())
            }
            command => Err(ProducerError::Unexpected { opcode: command.opcode() }),
        }
    }

    fn close_stream(&mut self, request: &Request, partitions: &impl Partitions) -> Result<(), ProducerError> {
        let Some(stream) = self.streams.remove(&request.vb) else {
            return self.respond(&Response::to(request, Status::NOT_FOUND));
        };
        self.respond(&Response::to(request, Status::SUCCESS))?;
        if self.options.end_on_close {
            let end = stream.message(Command::StreamEnd(StreamEndReason::Closed));
            self.send(&end)?;
        }
        if let Some(vbucket) = partitions.vbucket(request.vb) {
            stream.close(vbucket);
        }
        Ok(())
    }

    /// Lets one stream send until it has nothing left, the budget is used up or flow control holds it back.
    fn send_from(
        &mut self,
        vb: Vbid,
        partitions: &impl Partitions,
        budget_bytes: usize,
    ) -> Result<(), ProducerError> {
        let (Some(mut stream), Some(vbucket)) = (self.streams.remove(&vb), partitions.vbucket(vb)) else {
            return Ok(());
        };
        self.read.insert(vb);
        let has_more = loop {
            if self.output.len() >= budget_bytes || !self.flow.may_send() {
                break true;
            }
            match stream.next(vbucket, &self.options)? {
                Some(message) => self.send(&message)?,
                None => break false,
            }
        };
        if stream.is_over() {
            stream.close(vbucket);
            return Ok(());
        }
        self.streams.insert(vb, stream);
        if has_more {
            self.make_ready(vb);
        }
        Ok(())
    }

    fn send(&mut self, request: &Request) -> Result<(), ProducerError> {
        request.encode(&mut self.output)?;
        self.flow.sent(request.flow_control_bytes());
        Ok(())
    }

    fn respond(&mut self, response: &Response) -> Result<(), ProducerError> {
        Ok(response.encode(&mut self.output)?)
    }

    fn make_ready(&mut self, vb: Vbid) -> bool {
        let became_ready = self.is_ready.insert(vb);
        if became_ready {
            self.ready.push_back(vb);
        }
        became_ready
    }
}

#[cfg(test)]
mod tests;

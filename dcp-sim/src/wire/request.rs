//! Requests of both sides: what clients ask, and what producers stream.
//!
//! | from | commands |
//! |---|---|
//! | client | open, control, stream request, close stream, get failover log, seqno ack, buffer ack |
//! | producer | stream end, marker, mutation, deletion, expiration, prepare, commit, abort, seqno advanced, system event, set vBucket state, no-op |
//!
//! Close stream, get failover log and no-op are nothing but a header. A stream id may go with what is about one
//! stream ([`Opcode::is_stream_message`] and close stream) and with nothing else.

use lowtide_checkpoint::{Seqno, State, Vbid};

use super::body::{
    Abort, Body, BufferAck, Commit, Control, Deletion, Expiration, Marker, Mutation, Open, Parts,
    Prepare, SeqnoAck, SeqnoAdvanced, StreamEndReason, StreamRequest, SystemEvent,
};
use super::error::{Part, WireError};
use super::flow_control;
use super::frame::{Frame, Head};
use super::framing::StreamId;
use super::opcode::Opcode;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The vBucket; 0 where the command is not about one.
    pub vb: Vbid,
    /// Sent back as it is in the response; in a stream's messages that of its stream request.
    pub opaque: u32,
    /// Which of a vBucket's streams it is about, where the connection enabled stream ids.
    pub stream_id: Option<StreamId>,
    /// What is asked or told.
    pub command: Command,
}

/// What a request asks or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Turns the connection into one of the change protocol.
    Open(Open),
    /// Sets an option of the connection.
    Control(Control),
    /// Opens a stream.
    StreamRequest(StreamRequest),
    /// Closes a stream.
    CloseStream,
    /// Asks for the failover log.
    GetFailoverLog,
    /// The stream is over.
    StreamEnd(StreamEndReason),
    /// A snapshot follows.
    SnapshotMarker(Marker),
    /// A document was set.
    Mutation(Mutation),
    /// A document was removed.
    Deletion(Deletion),
    /// A document's time had come.
    Expiration(Expiration),
    /// First half of a durable write.
    Prepare(Prepare),
    /// It happened.
    Commit(Commit),
    /// It did not.
    Abort(Abort),
    /// A replica has every prepare up to that seqno.
    SeqnoAck(Seqno),
    /// The stream has come to that seqno.
    SeqnoAdvanced(Seqno),
    /// A collection or scope came, changed or went.
    SystemEvent(SystemEvent),
    /// A takeover's step: the receiver's vBucket gets that state.
    SetVBucketState(State),
    /// Asks for a sign of life.
    Noop,
    /// Gives that many bytes of the flow-control buffer back.
    BufferAck(u32),
}

impl Command {
    /// Its number.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::Open(_) => Open::OPCODE,
            Self::Control(_) => Control::OPCODE,
            Self::StreamRequest(_) => StreamRequest::OPCODE,
            Self::CloseStream => Opcode::DCP_CLOSE_STREAM,
            Self::GetFailoverLog => Opcode::DCP_GET_FAILOVER_LOG,
            Self::StreamEnd(_) => StreamEndReason::OPCODE,
            Self::SnapshotMarker(_) => Marker::OPCODE,
            Self::Mutation(_) => Mutation::OPCODE,
            Self::Deletion(_) => Deletion::OPCODE,
            Self::Expiration(_) => Expiration::OPCODE,
            Self::Prepare(_) => Prepare::OPCODE,
            Self::Commit(_) => Commit::OPCODE,
            Self::Abort(_) => Abort::OPCODE,
            Self::SeqnoAck(_) => SeqnoAck::OPCODE,
            Self::SeqnoAdvanced(_) => SeqnoAdvanced::OPCODE,
            Self::SystemEvent(_) => SystemEvent::OPCODE,
            Self::SetVBucketState(_) => State::OPCODE,
            Self::Noop => Opcode::DCP_NOOP,
            Self::BufferAck(_) => BufferAck::OPCODE,
        }
    }

    /// The seqno a consumer has come to once it has this message; `None` for what moves nobody on.
    #[must_use]
    pub const fn seqno(&self) -> Option<Seqno> {
        match self {
            Self::Mutation(message) => Some(message.seqno),
            Self::Deletion(message) => Some(message.seqno),
            Self::Expiration(message) => Some(message.seqno),
            Self::Prepare(message) => Some(message.seqno),
            Self::Commit(message) => Some(message.seqno),
            Self::Abort(message) => Some(message.seqno),
            Self::SystemEvent(message) => Some(message.seqno),
            Self::SeqnoAdvanced(seqno) => Some(*seqno),
            _ => None,
        }
    }

    fn read(frame: &Frame) -> Result<Self, WireError> {
        match frame.opcode {
            Open::OPCODE => Body::read(frame).map(Self::Open),
            Control::OPCODE => Body::read(frame).map(Self::Control),
            StreamRequest::OPCODE => Body::read(frame).map(Self::StreamRequest),
            Opcode::DCP_CLOSE_STREAM => header_only(frame).map(|()| Self::CloseStream),
            Opcode::DCP_GET_FAILOVER_LOG => header_only(frame).map(|()| Self::GetFailoverLog),
            StreamEndReason::OPCODE => Body::read(frame).map(Self::StreamEnd),
            Marker::OPCODE => Body::read(frame).map(Self::SnapshotMarker),
            Mutation::OPCODE => Body::read(frame).map(Self::Mutation),
            Deletion::OPCODE => Body::read(frame).map(Self::Deletion),
            Expiration::OPCODE => Body::read(frame).map(Self::Expiration),
            Prepare::OPCODE => Body::read(frame).map(Self::Prepare),
            Commit::OPCODE => Body::read(frame).map(Self::Commit),
            Abort::OPCODE => Body::read(frame).map(Self::Abort),
            SeqnoAck::OPCODE => SeqnoAck::read(frame).map(|ack| Self::SeqnoAck(ack.0)),
            SeqnoAdvanced::OPCODE => SeqnoAdvanced::read(frame).map(|to| Self::SeqnoAdvanced(to.0)),
            SystemEvent::OPCODE => Body::read(frame).map(Self::SystemEvent),
            State::OPCODE => Body::read(frame).map(Self::SetVBucketState),
            Opcode::DCP_NOOP => header_only(frame).map(|()| Self::Noop),
            BufferAck::OPCODE => BufferAck::read(frame).map(|ack| Self::BufferAck(ack.0)),
            opcode => Err(WireError::UnknownOpcode { opcode }),
        }
    }

    fn write(&self, parts: &mut Parts) {
        match self {
            Self::Open(body) => body.write(parts),
            Self::Control(body) => body.write(parts),
            Self::StreamRequest(body) => body.write(parts),
            Self::CloseStream | Self::GetFailoverLog | Self::Noop => {}
            Self::StreamEnd(body) => body.write(parts),
            Self::SnapshotMarker(body) => body.write(parts),
            Self::Mutation(body) => body.write(parts),
            Self::Deletion(body) => body.write(parts),
            Self::Expiration(body) => body.write(parts),
            Self::Prepare(body) => body.write(parts),
            Self::Commit(body) => body.write(parts),
            Self::Abort(body) => body.write(parts),
            Self::SeqnoAck(seqno) => SeqnoAck(*seqno).write(parts),
            Self::SeqnoAdvanced(seqno) => SeqnoAdvanced(*seqno).write(parts),
            Self::SystemEvent(body) => body.write(parts),
            Self::SetVBucketState(body) => body.write(parts),
            Self::BufferAck(bytes) => BufferAck(*bytes).write(parts),
        }
    }
}

fn header_only(frame: &Frame) -> Result<(), WireError> {
    frame.raw()?;
    frame.no_extras()?;
    frame.no_key()?;
    frame.no_value()
}

impl Request {
    /// A request without stream id.
    #[must_use]
    pub const fn new(vb: Vbid, opaque: u32, command: Command) -> Self {
        Self {
            vb,
            opaque,
            stream_id: None,
            command,
        }
    }

    /// The same for one of a vBucket's several streams.
    #[must_use]
    pub fn with_stream_id(self, stream_id: StreamId) -> Self {
        Self {
            stream_id: Some(stream_id),
            ..self
        }
    }

    pub(super) fn read(vb: Vbid, frame: &Frame) -> Result<Self, WireError> {
        let command = Command::read(frame)?;
        let stream_id = StreamId::read(frame.opcode, &frame.framing)?;
        let may_have_one =
            frame.opcode.is_stream_message() || frame.opcode == Opcode::DCP_CLOSE_STREAM;
        if stream_id.is_some() && !may_have_one {
            return Err(WireError::Unexpected {
                opcode: frame.opcode,
                part: Part::Framing,
            });
        }
        Ok(Self {
            vb,
            opaque: frame.opaque,
            stream_id,
            command,
        })
    }

    /// Appends the request's frame to `out`.
    ///
    /// # Errors
    /// When a part is too long for a frame. `out` is as it was then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.parts().encode(out)
    }

    /// The request's frame, which shares its key and value.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        self.parts().into_frame()
    }

    /// Bytes of the request's frame.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.parts().encoded_bytes()
    }

    /// As [`flow_control_bytes`](crate::wire::flow_control_bytes) of its frame.
    #[must_use]
    pub fn flow_control_bytes(&self) -> u32 {
        self.flow_control_bytes_of(self.encoded_bytes())
    }

    /// The same where the frame's size is known already.
    pub(crate) fn flow_control_bytes_of(&self, frame_bytes: usize) -> u32 {
        flow_control::request_bytes(self.command.opcode(), frame_bytes)
    }

    fn parts(&self) -> Parts {
        let mut parts = Parts::new(Head::Request(self.vb), self.command.opcode(), self.opaque);
        parts.stream_id = self.stream_id;
        self.command.write(&mut parts);
        parts
    }
}

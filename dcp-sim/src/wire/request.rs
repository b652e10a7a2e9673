//! Requests of both sides: commands of clients, and stream messages of producers.
//!
//! | from | commands |
//! |---|---|
//! | client | open, control, stream request, close stream, get failover log, seqno ack, buffer ack |
//! | producer | stream end, marker, mutation, deletion, expiration, prepare, commit, abort, seqno advanced, system event, set vBucket state, no-op |
//!
//! Close stream, get failover log and no-op consist of a header only. A stream id may accompany a
//! message about one stream ([`Opcode::is_stream_message`] and close stream), and no other.

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
    /// The vBucket; 0 for a command without one.
    pub vb: Vbid,
    /// Number that the response returns. Messages of a stream carry that of the stream request.
    pub opaque: u32,
    /// Stream of the vBucket, on a connection that enabled stream ids.
    pub stream_id: Option<StreamId>,
    /// The command and its fields.
    pub command: Command,
}

/// A command and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Reports the end of a stream.
    StreamEnd(StreamEndReason),
    /// Announces a snapshot.
    SnapshotMarker(Marker),
    /// Sets a document.
    Mutation(Mutation),
    /// Removes a document.
    Deletion(Deletion),
    /// Removes a document that expired.
    Expiration(Expiration),
    /// Prepares a durable write.
    Prepare(Prepare),
    /// Commits a prepared write.
    Commit(Commit),
    /// Aborts a prepared write.
    Abort(Abort),
    /// Acknowledges every prepare up to a seqno on a replica.
    SeqnoAck(Seqno),
    /// Advances the stream to a seqno.
    SeqnoAdvanced(Seqno),
    /// Reports that a collection or scope was created, changed or dropped.
    SystemEvent(SystemEvent),
    /// Sets the state of the receiver's vBucket: a step of a takeover.
    SetVBucketState(State),
    /// Checks that the peer is alive.
    Noop,
    /// Returns flow-control bytes.
    BufferAck(u32),
}

impl Command {
    /// Returns the command's number.
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

    /// Returns the seqno that a consumer reaches with this message, or `None` if it advances
    /// nothing.
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
    /// Creates a request without stream id.
    #[must_use]
    pub const fn new(vb: Vbid, opaque: u32, command: Command) -> Self {
        Self {
            vb,
            opaque,
            stream_id: None,
            command,
        }
    }

    /// Sets the stream id, for one of several streams of a vBucket.
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
    /// When a part is too long for a frame. `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.parts().encode(out)
    }

    /// Returns the request's frame, which shares its key and value.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        self.parts().into_frame()
    }

    /// Returns the size of the request's frame.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.parts().encoded_bytes()
    }

    /// Returns the [`flow_control_bytes`](crate::wire::flow_control_bytes) of its frame.
    #[must_use]
    pub fn flow_control_bytes(&self) -> u32 {
        self.flow_control_bytes_of(self.encoded_bytes())
    }

    /// Same as [`Request::flow_control_bytes`], for a frame of known size.
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

//! Responses.
//!
//! | to | status | value |
//! |---|---|---|
//! | stream request | success | the failover log: for each branch u64 uuid, u64 seqno, newest first |
//! | stream request | rollback | u64, the seqno to roll back to |
//! | get failover log | success | the failover log |
//! | any other of the change protocol | success | |
//! | any | other | empty, or a description as JSON |
//!
//! Responses have neither extras nor key. Responses to commands outside the change protocol are
//! decoded as status and value.

use bytes::{BufMut, Bytes};
use lowtide_checkpoint::{FailoverEntry, Seqno, VbUuid};

use super::body::Parts;
use super::error::WireError;
use super::frame::{Frame, Head};
use super::framing;
use super::opcode::Opcode;
use super::request::Request;
use super::status::Status;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Number from the request.
    pub opaque: u32,
    /// The answer.
    pub reply: Reply,
}

/// Content of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The stream is open. Holds the vBucket's failover log, newest branch first.
    StreamAccepted(Vec<FailoverEntry>),
    /// The stream is refused. The client must discard everything after the seqno and ask again.
    Rollback(Seqno),
    /// A failover log, newest branch first.
    FailoverLog {
        /// The command: inside or outside the change protocol.
        opcode: Opcode,
        /// The branches.
        entries: Vec<FailoverEntry>,
    },
    /// Every other answer.
    Status {
        /// The command that is answered.
        opcode: Opcode,
        /// Outcome of the request.
        status: Status,
        /// Data sent with the status; empty on success of a command of the change protocol.
        body: Bytes,
    },
}

impl Reply {
    /// Returns the command that is answered.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::StreamAccepted(_) | Self::Rollback(_) => Opcode::DCP_STREAM_REQ,
            Self::FailoverLog { opcode, .. } | Self::Status { opcode, .. } => *opcode,
        }
    }

    /// Returns the outcome of the request.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::StreamAccepted(_) | Self::FailoverLog { .. } => Status::SUCCESS,
            Self::Rollback(_) => Status::ROLLBACK,
            Self::Status { status, .. } => *status,
        }
    }

    fn read(status: Status, frame: &Frame) -> Result<Self, WireError> {
        let opcode = frame.opcode;
        match (opcode, status) {
            (Opcode::DCP_STREAM_REQ, Status::SUCCESS) => read_log(frame).map(Self::StreamAccepted),
            (Opcode::DCP_STREAM_REQ, Status::ROLLBACK) => {
                let mut value = frame.value_fields();
                let seqno = Seqno(value.u64()?);
                value.finish()?;
                Ok(Self::Rollback(seqno))
            }
            (Opcode::DCP_GET_FAILOVER_LOG | Opcode::GET_FAILOVER_LOG, Status::SUCCESS) => {
                read_log(frame).map(|entries| Self::FailoverLog { opcode, entries })
            }
            _ => {
                if opcode.is_dcp() && status.is_success() {
                    frame.no_value()?;
                }
                Ok(Self::Status {
                    opcode,
                    status,
                    body: frame.value.clone(),
                })
            }
        }
    }
}

fn read_log(frame: &Frame) -> Result<Vec<FailoverEntry>, WireError> {
    let mut value = frame.value_fields();
    let mut entries = Vec::new();
    while !value.is_empty() {
        entries.push(FailoverEntry {
            uuid: VbUuid(value.u64()?),
            seqno: Seqno(value.u64()?),
        });
    }
    Ok(entries)
}

fn write_log(entries: &[FailoverEntry]) -> Bytes {
    let mut value = Vec::with_capacity(16 * entries.len());
    for entry in entries {
        value.put_u64(entry.uuid.0);
        value.put_u64(entry.seqno.0);
    }
    value.into()
}

impl Response {
    /// Creates a status without a body, for the command with that number.
    #[must_use]
    pub const fn status(opcode: Opcode, opaque: u32, status: Status) -> Self {
        Self {
            opaque,
            reply: Reply::Status {
                opcode,
                status,
                body: Bytes::new(),
            },
        }
    }

    /// Creates a status without a body, in answer to `request`.
    #[must_use]
    pub const fn to(request: &Request, status: Status) -> Self {
        Self::status(request.command.opcode(), request.opaque, status)
    }

    pub(super) fn read(status: Status, frame: &Frame) -> Result<Self, WireError> {
        framing::check(frame.opcode, &frame.framing)?;
        frame.no_extras()?;
        frame.no_key()?;
        Ok(Self {
            opaque: frame.opaque,
            reply: Reply::read(status, frame)?,
        })
    }

    /// Appends the response's frame to `out`.
    ///
    /// # Errors
    /// When the body is too long for a frame. `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.parts().encode(out)
    }

    /// Returns the response's frame.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        self.parts().into_frame()
    }

    fn parts(&self) -> Parts {
        let mut parts = Parts::new(
            Head::Response(self.reply.status()),
            self.reply.opcode(),
            self.opaque,
        );
        parts.value = match &self.reply {
            Reply::StreamAccepted(entries) | Reply::FailoverLog { entries, .. } => {
                write_log(entries)
            }
            Reply::Rollback(seqno) => Bytes::copy_from_slice(&seqno.0.to_be_bytes()),
            Reply::Status { body, .. } => body.clone(),
        };
        parts
    }
}

//! Responses.
//!
//! | to | status | value |
//! |---|---|---|
//! | stream request | success | the failover log: for each branch u64 uuid, u64 seqno, newest first |
//! | stream request | rollback | u64, the seqno to go back to |
//! | get failover log | success | the failover log |
//! | any other of the change protocol | success | |
//! | any | other | empty, or what went wrong as JSON |
//!
//! None has extras or a key. Responses to commands that are not of the change protocol are taken as status and value.

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
    /// The request's.
    pub opaque: u32,
    /// What is answered.
    pub reply: Reply,
}

/// What a response answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The stream is open; the vBucket's failover log, newest branch first.
    StreamAccepted(Vec<FailoverEntry>),
    /// No stream: forget everything after that seqno and ask again.
    Rollback(Seqno),
    /// A failover log, newest branch first.
    FailoverLog {
        /// Which of the two commands asked: inside or outside the change protocol.
        opcode: Opcode,
        /// The branches.
        entries: Vec<FailoverEntry>,
    },
    /// Every other answer.
    Status {
        /// The command that is answered.
        opcode: Opcode,
        /// How it went.
        status: Status,
        /// What was sent with it; empty on success of a command of the change protocol.
        body: Bytes,
    },
}

impl Reply {
    /// The command it answers.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::StreamAccepted(_) | Self::Rollback(_) => Opcode::DCP_STREAM_REQ,
            Self::FailoverLog { opcode, .. } | Self::Status { opcode, .. } => *opcode,
        }
    }

    /// How it went.
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
    /// A status without further words, to the command with that number.
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

    /// A status without further words, to `request`.
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
    /// When the body is too long for a frame. `out` is as it was then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.parts().encode(out)
    }

    /// The response's frame.
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

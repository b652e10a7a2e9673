//! Why bytes are no frame, a frame no message, or a message has no bytes.
//!
//! Two kinds, told apart by [`WireError::status`]: after the first the stream of bytes can't be trusted any more and
//! the connection must go; after the second the next frame is sound and a request can be answered.

use std::fmt;

use super::opcode::Opcode;
use super::status::Status;

/// A part of a frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the command needs beside the header.
    Extras,
    /// Document key, connection name or option name.
    Key,
    /// The rest.
    Value,
    /// What may go with any command, such as a stream id.
    Framing,
    /// All of them.
    Body,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extras => "extras",
            Self::Key => "key",
            Self::Value => "value",
            Self::Framing => "framing extras",
            Self::Body => "body",
        })
    }
}

/// What encoding and decoding return on failure. Nothing was consumed or written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first byte is no frame's.
    #[error("a frame can't begin with {magic:#04x}")]
    UnknownMagic {
        /// That byte.
        magic: u8,
    },
    /// Key, extras and framing extras alone are longer than the body.
    #[error("{opcode}: parts of {parts} bytes in a body of {body}")]
    InconsistentLengths {
        /// The command.
        opcode: Opcode,
        /// Bytes of the parts whose length the header states.
        parts: usize,
        /// Bytes of the body, which must hold them.
        body: usize,
    },
    /// More than is ever buffered or sent, or than the length's field can say.
    #[error("{opcode}: {part} of {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// The command.
        opcode: Opcode,
        /// What is too large.
        part: Part,
        /// Its bytes.
        size: usize,
        /// The most bytes it may have.
        limit: usize,
    },
    /// A well-formed request of another protocol, or one that only Couchbase's own nodes exchange.
    #[error("{opcode} is not a request this protocol knows")]
    UnknownOpcode {
        /// The command.
        opcode: Opcode,
    },
    /// The part's layout has another length.
    #[error("{opcode}: {part} of {found} bytes, which its layout has not")]
    Length {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
        /// Its bytes.
        found: usize,
    },
    /// A part the command can't do without.
    #[error("{opcode}: {part} missing")]
    Missing {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
    },
    /// A part the command does not have.
    #[error("{opcode}: unexpected {part}")]
    Unexpected {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
    },
    /// Bits without a meaning here.
    #[error("{opcode}: unknown {what} {bits:#x}")]
    UnknownBits {
        /// The command.
        opcode: Opcode,
        /// The field.
        what: &'static str,
        /// The unknown ones of its bits.
        bits: u32,
    },
    /// A number that the field can't have.
    #[error("{opcode}: {what} can't be {found}")]
    BadValue {
        /// The command.
        opcode: Opcode,
        /// The field.
        what: &'static str,
        /// What it has.
        found: u64,
    },
    /// A document key whose collection prefix is cut short or over 32 bits.
    #[error("{opcode}: the key's collection prefix is malformed")]
    BadKey {
        /// The command.
        opcode: Opcode,
    },
    /// The message is no item, or one this model can't hold.
    #[error("{opcode} is not an item: {what}")]
    NotAnItem {
        /// The command.
        opcode: Opcode,
        /// Why.
        what: &'static str,
    },
    /// The item can't be sent.
    #[error("a {operation} can't be sent: {what}")]
    NotSendable {
        /// The operation's name.
        operation: &'static str,
        /// Why.
        what: &'static str,
    },
}

impl WireError {
    /// What a server answers to the request; `None` when only closing the connection is left, because where the
    /// next frame begins is not known, and for items, which nobody requested.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::UnknownMagic { .. }
            | Self::InconsistentLengths { .. }
            | Self::TooLarge { .. }
            | Self::NotSendable { .. } => None,
            Self::UnknownOpcode { .. } => Some(Status::UNKNOWN_COMMAND),
            _ => Some(Status::INVALID),
        }
    }
}

//! Errors of encoding and decoding.
//!
//! [`WireError::status`] separates two kinds. After an error without a status the byte stream is no
//! longer trusted and the connection must close. After an error with a status the next frame is
//! sound and the request can be answered.

use std::fmt;

use super::opcode::Opcode;
use super::status::Status;

/// A part of a frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The command's fixed fields.
    Extras,
    /// Document key, connection name or option name.
    Key,
    /// Document body or the command's data.
    Value,
    /// Data that may accompany any command, such as a stream id.
    Framing,
    /// All parts together.
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

/// Error of encoding or decoding. Nothing was consumed or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first byte starts no frame.
    #[error("invalid frame magic {magic:#04x}")]
    UnknownMagic {
        /// The byte that was found.
        magic: u8,
    },
    /// Key, extras and framing extras together are longer than the body.
    #[error("{opcode}: parts of {parts} bytes exceed the body of {body} bytes")]
    InconsistentLengths {
        /// The command.
        opcode: Opcode,
        /// Bytes of the parts whose length the header states.
        parts: usize,
        /// Bytes of the body, which must hold them.
        body: usize,
    },
    /// A part exceeds its limit, or the range of its length field.
    #[error("{opcode}: {part} length {size} exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The command.
        opcode: Opcode,
        /// The oversized part.
        part: Part,
        /// Its bytes.
        size: usize,
        /// Its limit in bytes.
        limit: usize,
    },
    /// A well-formed request of another protocol, or one that only Couchbase nodes exchange.
    #[error("unknown request {opcode}")]
    UnknownOpcode {
        /// The command.
        opcode: Opcode,
    },
    /// The part's length does not match the layout.
    #[error("{opcode}: invalid {part} length {found}")]
    Length {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
        /// Its bytes.
        found: usize,
    },
    /// A required part is absent.
    #[error("{opcode}: missing {part}")]
    Missing {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
    },
    /// A part is present that the command does not have.
    #[error("{opcode}: unexpected {part}")]
    Unexpected {
        /// The command.
        opcode: Opcode,
        /// The part.
        part: Part,
    },
    /// Bits are set that have no meaning.
    #[error("{opcode}: unknown {what} {bits:#x}")]
    UnknownBits {
        /// The command.
        opcode: Opcode,
        /// The field.
        what: &'static str,
        /// The unknown bits.
        bits: u32,
    },
    /// A field has a value outside its range.
    #[error("{opcode}: invalid {what} {found}")]
    BadValue {
        /// The command.
        opcode: Opcode,
        /// The field.
        what: &'static str,
        /// The value that was found.
        found: u64,
    },
    /// A document key has a collection prefix that is truncated or over 32 bits.
    #[error("{opcode}: malformed collection prefix in key")]
    BadKey {
        /// The command.
        opcode: Opcode,
    },
    /// The message carries no item, or one that the item model does not cover.
    #[error("{opcode} carries no item: {what}")]
    NotAnItem {
        /// The command.
        opcode: Opcode,
        /// The reason.
        what: &'static str,
    },
    /// The item has no message.
    #[error("cannot send {operation}: {what}")]
    NotSendable {
        /// The operation's name.
        operation: &'static str,
        /// The reason.
        what: &'static str,
    },
}

impl WireError {
    /// Returns the status that answers the request, or `None` if the connection must close. `None`
    /// also covers items, which no request asked for.
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

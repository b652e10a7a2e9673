//! Commands about the connection itself.
//!
//! | command | from | extras | key | value | answer |
//! |---|---|---|---|---|---|
//! | DCP_OPEN | client | u32 seqno, unused; u32 flags | name, 1 to 200 bytes | options as JSON, may be empty | status |
//! | DCP_CONTROL | client | | option | its value | status |
//! | DCP_BUFFER_ACK | client | u32 bytes | | | none |
//! | DCP_NOOP | producer | | | | success |
//!
//! The producer decides which flags exclude each other and which options exist.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/`, `open-connection.md`, `control.md`,
//! `buffer-ack.md` and `no-op.md`.

use bytes::Bytes;

use super::parts::{Body, Parts};
use crate::wire::error::{Part, WireError};
use crate::wire::fields::Extras;
use crate::wire::flags::bit_set;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

bit_set! {
    /// Features that a client requests when it opens a connection. Bits of removed features have no
    /// meaning.
    OpenFlags {
        /// The server produces; without this flag it consumes.
        PRODUCER = 0x01,
        /// Values come with their extended attributes.
        INCLUDE_XATTRS = 0x04,
        /// Values are left out.
        NO_VALUE = 0x08,
        /// Deletions carry their time.
        INCLUDE_DELETE_TIMES = 0x20,
        /// Values are left out, but their datatype is kept.
        NO_VALUE_WITH_DATATYPE = 0x40,
        /// Deletions come with the client's attributes; needs `INCLUDE_XATTRS`.
        INCLUDE_DELETED_USER_XATTRS = 0x100,
        /// A first backfill leaves deletions out; needs `PRODUCER`.
        SKIP_DELETES_IN_INITIAL_BACKFILL = 0x200,
    }
}

/// Turns the connection into one of the change protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Requested features.
    pub flags: OpenFlags,
    /// The connection's name; a newer connection with the same name replaces it.
    pub name: Bytes,
    /// Options as JSON, not decoded; empty for none.
    pub options: Bytes,
}

impl Open {
    /// Longest name in bytes.
    pub const NAME_BYTES_MAX: usize = 200;
}

impl Body for Open {
    const OPCODE: Opcode = Opcode::DCP_OPEN;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        let mut extras = frame.extras_fields();
        extras.u32()?;
        let flags = OpenFlags::read(frame.opcode, extras.u32()?)?;
        extras.finish()?;
        let name = frame.some_key()?;
        if name.len() > Self::NAME_BYTES_MAX {
            return Err(WireError::Length {
                opcode: frame.opcode,
                part: Part::Key,
                found: name.len(),
            });
        }
        Ok(Self {
            flags,
            name,
            options: frame.value.clone(),
        })
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u32(0).u32(self.flags.0);
        parts.key = self.name.clone();
        parts.value = self.options.clone();
    }
}

/// Sets one option of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The option's name, not empty.
    pub key: Bytes,
    /// Its value as text, not empty.
    pub value: Bytes,
}

impl Body for Control {
    const OPCODE: Opcode = Opcode::DCP_CONTROL;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_extras()?;
        Ok(Self {
            key: frame.some_key()?,
            value: frame.some_value()?,
        })
    }

    fn write(&self, parts: &mut Parts) {
        parts.key = self.key.clone();
        parts.value = self.value.clone();
    }
}

/// Bytes returned to the producer's flow-control buffer.
pub(in crate::wire) struct BufferAck(pub u32);

impl Body for BufferAck {
    const OPCODE: Opcode = Opcode::DCP_BUFFER_ACK;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_key()?;
        frame.no_value()?;
        let mut extras = frame.extras_fields();
        let bytes = extras.u32()?;
        extras.finish()?;
        Ok(Self(bytes))
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u32(self.0);
    }
}

//! End of a stream, and its reason.
//!
//! DCP_STREAM_END is sent by the producer and not answered: extras u32 reason; no key, no value.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/stream-end.md`.

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// Reason for the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum StreamEndReason {
    /// Everything requested has been sent.
    Ok = 0,
    /// The client closed it, and asked for the message.
    Closed = 1,
    /// The vBucket changed its state.
    StateChanged = 2,
    /// The producer is about to close the connection.
    Disconnected = 3,
    /// The client was too slow.
    TooSlow = 4,
    /// The engine could not read the disk.
    BackfillFailed = 5,
    /// The history was rolled back below the stream's position.
    Rollback = 6,
    /// No item can pass the filter any more.
    FilterEmpty = 7,
    /// The user lost the privilege to read the requested data.
    LostPrivileges = 8,
}

impl StreamEndReason {
    /// All reasons, by number.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Closed,
        Self::StateChanged,
        Self::Disconnected,
        Self::TooSlow,
        Self::BackfillFailed,
        Self::Rollback,
        Self::FilterEmpty,
        Self::LostPrivileges,
    ];

    /// Returns the protocol's number of the reason.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Returns the reason's name in scenario files and dumps.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Closed => "closed",
            Self::StateChanged => "state-changed",
            Self::Disconnected => "disconnected",
            Self::TooSlow => "too-slow",
            Self::BackfillFailed => "backfill-failed",
            Self::Rollback => "rollback",
            Self::FilterEmpty => "filter-empty",
            Self::LostPrivileges => "lost-privileges",
        }
    }
}

impl Body for StreamEndReason {
    const OPCODE: Opcode = Opcode::DCP_STREAM_END;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_key()?;
        frame.no_value()?;
        let mut extras = frame.extras_fields();
        let code = extras.u32()?;
        extras.finish()?;
        Self::ALL
            .into_iter()
            .find(|reason| reason.code() == code)
            .ok_or_else(|| frame.bad("stream end reason", code))
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u32(self.code());
    }
}

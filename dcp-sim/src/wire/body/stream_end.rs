//! The end of a stream, and why.
//!
//! DCP_STREAM_END, from the producer, not answered: extras u32 reason; no key, no value.

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum StreamEndReason {
    /// All that was asked for has been sent.
    Ok = 0,
    /// The client closed it, and wanted to be told.
    Closed = 1,
    /// The vBucket changed its state.
    StateChanged = 2,
    /// The producer's connection is going.
    Disconnected = 3,
    /// The client was too slow.
    TooSlow = 4,
    /// The disk could not be read.
    BackfillFailed = 5,
    /// The history went back behind the stream.
    Rollback = 6,
    /// Nothing is left that the filter lets through.
    FilterEmpty = 7,
    /// The user may no longer see what it asked for.
    LostPrivileges = 8,
}

impl StreamEndReason {
    /// All of them, by number.
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

    /// Its name in scenario files and dumps.
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
            .find(|reason| *reason as u32 == code)
            .ok_or_else(|| frame.bad("stream end reason", code))
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u32(*self as u32);
    }
}

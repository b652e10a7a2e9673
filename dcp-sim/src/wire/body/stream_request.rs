//! Stream request: the client's position in a vBucket's history, and the range it wants.
//!
//! DCP_STREAM_REQ, from the client:
//!
//! | part | bytes | field |
//! |---|---|---|
//! | extras | 4 | flags |
//! | | 4 | unused |
//! | | 8 | start: the last seqno the client has |
//! | | 8 | end: the last it wants; all ones for no end |
//! | | 8 | uuid of the branch it is on; 0 for none |
//! | | 8 | start of the snapshot it is in |
//! | | 8 | end of that snapshot |
//! | value | | filter as JSON; empty for none |
//!
//! The answer is a [`Reply`](crate::wire::Reply): the failover log, a rollback, or a status.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/stream-request.md`.

use bytes::Bytes;
use lowtide_checkpoint::{Seqno, VbUuid};

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::flags::bit_set;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

bit_set! {
    /// Options of a stream. The removed bit 0x08 has no meaning.
    StreamRequestFlags {
        /// Hands the vBucket over at the end.
        TAKEOVER = 0x01,
        /// Ends at the persisted seqno.
        DISK_ONLY = 0x02,
        /// Ends at the current high seqno.
        TO_LATEST = 0x04,
        /// Requires the vBucket to be active.
        ACTIVE_ONLY = 0x10,
        /// Treats an unknown uuid as a rollback even at seqno 0.
        STRICT_VB_UUID = 0x20,
        /// Starts at the current high seqno.
        FROM_LATEST = 0x40,
        /// Accepts that tombstones were purged since the client's position.
        IGNORE_PURGED_TOMBSTONES = 0x80,
        /// Sends cache contents.
        CACHE_TRANSFER = 0x100,
    }
}

/// Opens a stream of one vBucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRequest {
    /// Options of the stream.
    pub flags: StreamRequestFlags,
    /// The last seqno the client has.
    pub start: Seqno,
    /// The last seqno the client wants.
    pub end: Seqno,
    /// Branch of the client's history; 0 for none.
    pub uuid: VbUuid,
    /// Start of the client's snapshot.
    pub snapshot_start: Seqno,
    /// End of the client's snapshot.
    pub snapshot_end: Seqno,
    /// Filter as JSON, not decoded; empty for none.
    pub filter: Bytes,
}

impl Body for StreamRequest {
    const OPCODE: Opcode = Opcode::DCP_STREAM_REQ;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_key()?;
        let mut extras = frame.extras_fields();
        let flags = extras.u32()?;
        extras.u32()?;
        let request = Self {
            start: Seqno(extras.u64()?),
            end: Seqno(extras.u64()?),
            uuid: VbUuid(extras.u64()?),
            snapshot_start: Seqno(extras.u64()?),
            snapshot_end: Seqno(extras.u64()?),
            flags: StreamRequestFlags::read(frame.opcode, flags)?,
            filter: frame.value.clone(),
        };
        extras.finish()?;
        Ok(request)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new()
            .u32(self.flags.0)
            .u32(0)
            .u64(self.start.0)
            .u64(self.end.0)
            .u64(self.uuid.0)
            .u64(self.snapshot_start.0)
            .u64(self.snapshot_end.0);
        parts.value = self.filter.clone();
    }
}

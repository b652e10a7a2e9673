//! Write of a document.
//!
//! DCP_MUTATION is sent by the producer and not answered. Datatype and CAS are in the header. The
//! value may be empty.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/mutation.md`.
//!
//! | part | bytes | field |
//! |---|---|---|
//! | extras | 8 | seqno, never 0 |
//! | | 8 | revision seqno |
//! | | 4 | the client's flags |
//! | | 4 | expiry, seconds since the epoch; 0 for never |
//! | | 4 | lock time: seconds for which the document is locked |
//! | | 2 | length of extended metadata, which no longer exists: 0 |
//! | | 1 | recency of use, for the cache |
//! | key | | key |
//! | value | | document |

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Seqno};

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// Write of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions of the document.
    pub rev_seqno: u64,
    /// The revision's CAS.
    pub cas: Cas,
    /// 32 bits of the client.
    pub flags: u32,
    /// Expiry in seconds since the epoch; 0 for never.
    pub expiry: u32,
    /// Seconds for which the document is locked.
    pub lock_time: u32,
    /// Recency of use, for the cache.
    pub nru: u8,
    /// Format of the value.
    pub datatype: Datatype,
    /// The key as it is on the wire.
    pub key: Bytes,
    /// The document.
    pub value: Bytes,
}

impl Body for Mutation {
    const OPCODE: Opcode = Opcode::DCP_MUTATION;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let mut extras = frame.extras_fields();
        let mutation = Self {
            seqno: frame.operation_seqno(extras.u64()?)?,
            rev_seqno: extras.u64()?,
            flags: extras.u32()?,
            expiry: extras.u32()?,
            lock_time: extras.u32()?,
            nru: {
                frame.unused("extended metadata length", extras.u16()?)?;
                extras.u8()?
            },
            cas: frame.cas,
            datatype: frame.document_datatype()?,
            key: frame.some_key()?,
            value: frame.value.clone(),
        };
        extras.finish()?;
        Ok(mutation)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new()
            .u64(self.seqno.0)
            .u64(self.rev_seqno)
            .u32(self.flags)
            .u32(self.expiry)
            .u32(self.lock_time)
            .u16(0)
            .u8(self.nru);
        parts.cas = self.cas;
        parts.datatype = self.datatype;
        parts.key = self.key.clone();
        parts.value = self.value.clone();
    }
}

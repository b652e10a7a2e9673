//! First half of a durable write.
//!
//! DCP_PREPARE is sent by the producer, to replicas only, and not answered. The replica
//! acknowledges it with DCP_SEQNO_ACK once it is as durable as its level demands. Datatype and CAS
//! are in the header. The value may be empty.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/prepare.md`.
//!
//! | part | bytes | field |
//! |---|---|---|
//! | extras | 8 | seqno, never 0 |
//! | | 8 | revision seqno |
//! | | 4 | the client's flags |
//! | | 4 | expiry of the document, or time of its deletion |
//! | | 4 | lock time |
//! | | 1 | recency of use |
//! | | 1 | 1 if the write is a deletion, else 0 |
//! | | 1 | durability level: 1 majority, 2 and on the active's disk, 3 on disk on a majority |
//! | key | | key |
//! | value | | document |

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Seqno};

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// A write that waits for its durability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions of the document after the commit.
    pub rev_seqno: u64,
    /// The revision's CAS.
    pub cas: Cas,
    /// 32 bits of the client.
    pub flags: u32,
    /// Expiry of the document, or time of its deletion, in seconds since the epoch; 0 for never or
    /// unknown.
    pub expiry: u32,
    /// Seconds for which the document is locked.
    pub lock_time: u32,
    /// Recency of use, for the cache.
    pub nru: u8,
    /// `true` if the write is a deletion.
    pub deleted: bool,
    /// Required durability.
    pub durability: DurabilityLevel,
    /// Format of the value.
    pub datatype: Datatype,
    /// The key as it is on the wire.
    pub key: Bytes,
    /// The document.
    pub value: Bytes,
}

impl Body for Prepare {
    const OPCODE: Opcode = Opcode::DCP_PREPARE;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let mut extras = frame.extras_fields();
        let prepare = Self {
            seqno: frame.operation_seqno(extras.u64()?)?,
            rev_seqno: extras.u64()?,
            flags: extras.u32()?,
            expiry: extras.u32()?,
            lock_time: extras.u32()?,
            nru: extras.u8()?,
            deleted: match extras.u8()? {
                0 => false,
                1 => true,
                other => return Err(frame.bad("deleted", other)),
            },
            durability: match extras.u8()? {
                1 => DurabilityLevel::Majority,
                2 => DurabilityLevel::MajorityAndPersistOnMaster,
                3 => DurabilityLevel::PersistToMajority,
                other => return Err(frame.bad("durability level", other)),
            },
            cas: frame.cas,
            datatype: frame.document_datatype()?,
            key: frame.some_key()?,
            value: frame.value.clone(),
        };
        extras.finish()?;
        Ok(prepare)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new()
            .u64(self.seqno.0)
            .u64(self.rev_seqno)
            .u32(self.flags)
            .u32(self.expiry)
            .u32(self.lock_time)
            .u8(self.nru)
            .u8(self.deleted.into())
            .u8(match self.durability {
                DurabilityLevel::Majority => 1,
                DurabilityLevel::MajorityAndPersistOnMaster => 2,
                DurabilityLevel::PersistToMajority => 3,
            });
        parts.cas = self.cas;
        parts.datatype = self.datatype;
        parts.key = self.key.clone();
        parts.value = self.value.clone();
    }
}

//! Removal of a document, on request or because it expired.
//!
//! DCP_DELETION and DCP_EXPIRATION are sent by the producer and not answered. Datatype and CAS are
//! in the header. The value, if any, holds the attributes that outlive the document.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/`, `deletion.md` and `expiration.md`.
//!
//! | field | bytes | deletion, first form | deletion, second form | expiration |
//! |---|---|---|---|---|
//! | seqno, never 0 | 8 | extras | extras | extras |
//! | revision seqno | 8 | extras | extras | extras |
//! | length of extended metadata: 0 | 2 | extras | | |
//! | delete time, seconds since the epoch | 4 | | extras | extras |
//! | unused: 0 | 1 | | extras | |

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Seqno};

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// Removal of a document on request, or of an expired one if the connection has no expirations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions of the document.
    pub rev_seqno: u64,
    /// The revision's CAS.
    pub cas: Cas,
    /// Time of deletion in seconds since the epoch, or 0 for unknown; `None` in the first form,
    /// which lacks the field.
    pub delete_time: Option<u32>,
    /// Format of the value.
    pub datatype: Datatype,
    /// The key as it is on the wire.
    pub key: Bytes,
    /// Attributes that outlive the document; usually empty.
    pub value: Bytes,
}

/// Removal of a document that expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiration {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions of the document.
    pub rev_seqno: u64,
    /// The revision's CAS.
    pub cas: Cas,
    /// Time of deletion in seconds since the epoch.
    pub delete_time: u32,
    /// Format of the value.
    pub datatype: Datatype,
    /// The key as it is on the wire.
    pub key: Bytes,
    /// Attributes that outlive the document; usually empty.
    pub value: Bytes,
}

const FIRST_FORM_BYTES: usize = 18;

impl Body for Deletion {
    const OPCODE: Opcode = Opcode::DCP_DELETION;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let mut extras = frame.extras_fields();
        let deletion = Self {
            seqno: frame.operation_seqno(extras.u64()?)?,
            rev_seqno: extras.u64()?,
            delete_time: if frame.extras.len() == FIRST_FORM_BYTES {
                frame.unused("extended metadata length", extras.u16()?)?;
                None
            } else {
                let time = extras.u32()?;
                frame.unused("unused byte", extras.u8()?)?;
                Some(time)
            },
            cas: frame.cas,
            datatype: frame.document_datatype()?,
            key: frame.some_key()?,
            value: frame.value.clone(),
        };
        extras.finish()?;
        Ok(deletion)
    }

    fn write(&self, parts: &mut Parts) {
        let extras = Extras::new().u64(self.seqno.0).u64(self.rev_seqno);
        parts.extras = match self.delete_time {
            None => extras.u16(0),
            Some(time) => extras.u32(time).u8(0),
        };
        parts.cas = self.cas;
        parts.datatype = self.datatype;
        parts.key = self.key.clone();
        parts.value = self.value.clone();
    }
}

impl Body for Expiration {
    const OPCODE: Opcode = Opcode::DCP_EXPIRATION;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let mut extras = frame.extras_fields();
        let expiration = Self {
            seqno: frame.operation_seqno(extras.u64()?)?,
            rev_seqno: extras.u64()?,
            delete_time: extras.u32()?,
            cas: frame.cas,
            datatype: frame.document_datatype()?,
            key: frame.some_key()?,
            value: frame.value.clone(),
        };
        extras.finish()?;
        Ok(expiration)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new()
            .u64(self.seqno.0)
            .u64(self.rev_seqno)
            .u32(self.delete_time);
        parts.cas = self.cas;
        parts.datatype = self.datatype;
        parts.key = self.key.clone();
        parts.value = self.value.clone();
    }
}

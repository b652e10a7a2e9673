//! The second half of a durable write: it happened, or it did not.
//!
//! DCP_COMMIT and DCP_ABORT, from the producer, to replicas only; not answered. They name the key and the prepare;
//! value, CAS and revision are the prepare's, which the receiver has. So a CAS in the header is refused.
//!
//! | part | bytes | field |
//! |---|---|---|
//! | extras | 8 | seqno of the prepare, never 0 |
//! | | 8 | seqno of the commit or abort, after it |
//! | key | | key |

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// The prepared write happened: its value is the document now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The prepare's seqno.
    pub prepare_seqno: Seqno,
    /// The commit's own.
    pub seqno: Seqno,
    /// The key as it is on the wire.
    pub key: Bytes,
}

/// The prepared write did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The prepare's seqno.
    pub prepare_seqno: Seqno,
    /// The abort's own.
    pub seqno: Seqno,
    /// The key as it is on the wire.
    pub key: Bytes,
}

impl Body for Commit {
    const OPCODE: Opcode = Opcode::DCP_COMMIT;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let (prepare_seqno, seqno, key) = read(frame)?;
        Ok(Self {
            prepare_seqno,
            seqno,
            key,
        })
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u64(self.prepare_seqno.0).u64(self.seqno.0);
        parts.key = self.key.clone();
    }
}

impl Body for Abort {
    const OPCODE: Opcode = Opcode::DCP_ABORT;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let (prepare_seqno, seqno, key) = read(frame)?;
        Ok(Self {
            prepare_seqno,
            seqno,
            key,
        })
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u64(self.prepare_seqno.0).u64(self.seqno.0);
        parts.key = self.key.clone();
    }
}

fn read(frame: &Frame) -> Result<(Seqno, Seqno, Bytes), WireError> {
    frame.raw()?;
    frame.no_cas()?;
    frame.no_value()?;
    let mut extras = frame.extras_fields();
    let prepare_seqno = frame.operation_seqno(extras.u64()?)?;
    let seqno = frame.operation_seqno(extras.u64()?)?;
    extras.finish()?;
    if seqno <= prepare_seqno {
        return Err(frame.bad("seqno, at or before its prepare's,", seqno.0));
    }
    Ok((prepare_seqno, seqno, frame.some_key()?))
}

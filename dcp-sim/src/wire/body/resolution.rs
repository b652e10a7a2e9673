//! Second half of a durable write: its commit or abort.
//!
//! DCP_COMMIT and DCP_ABORT are sent by the producer, to replicas only, and not answered. They name
//! the key and the prepare. Value, CAS and revision are those of the prepare, which the receiver
//! has, so a CAS in the header is refused.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/`, `commit.md` and `abort.md`.
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

/// Commit of a prepared write: its value becomes the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Seqno of the prepare.
    pub prepare_seqno: Seqno,
    /// Seqno of the commit.
    pub seqno: Seqno,
    /// The key as it is on the wire.
    pub key: Bytes,
}

/// Abort of a prepared write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// Seqno of the prepare.
    pub prepare_seqno: Seqno,
    /// Seqno of the abort.
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
        return Err(frame.bad("seqno, not above its prepare,", seqno.0));
    }
    Ok((prepare_seqno, seqno, frame.some_key()?))
}

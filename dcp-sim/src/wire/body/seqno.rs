//! Messages that consist of one seqno: extras u64; no key, no value; not answered except with
//! errors.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/`, `seqno-acknowledged.md` and
//! `seqno-advanced.md`.
//!
//! | command | from | the seqno |
//! |---|---|---|
//! | DCP_SEQNO_ACK | replica | every prepare up to it is as durable on the replica as its level demands; answered |
//! | DCP_SEQNO_ADVANCED | producer | end of the part sent, though its last items were not for this client |

use lowtide_checkpoint::Seqno;

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

pub(in crate::wire) struct SeqnoAck(pub Seqno);
pub(in crate::wire) struct SeqnoAdvanced(pub Seqno);

impl Body for SeqnoAck {
    const OPCODE: Opcode = Opcode::DCP_SEQNO_ACK;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.no_cas()?;
        read(frame).map(Self)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u64(self.0.0);
    }
}

impl Body for SeqnoAdvanced {
    const OPCODE: Opcode = Opcode::DCP_SEQNO_ADVANCED;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        read(frame).map(Self)
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u64(self.0.0);
    }
}

fn read(frame: &Frame) -> Result<Seqno, WireError> {
    frame.raw()?;
    frame.no_key()?;
    frame.no_value()?;
    let mut extras = frame.extras_fields();
    let seqno = Seqno(extras.u64()?);
    extras.finish()?;
    Ok(seqno)
}

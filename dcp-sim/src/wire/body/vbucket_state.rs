//! State for the receiver's vBucket: a step of a takeover.
//!
//! DCP_SET_VBUCKET_STATE is sent by the producer. The takeover continues only after the answer.
//! Extras u8: 1 active, 2 replica, 3 pending, 4 dead; no key, no value.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/set-vbucket-state.md`.

use lowtide_checkpoint::State;

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::Extras;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

impl Body for State {
    const OPCODE: Opcode = Opcode::DCP_SET_VBUCKET_STATE;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_key()?;
        frame.no_value()?;
        let mut extras = frame.extras_fields();
        let code = extras.u8()?;
        extras.finish()?;
        match code {
            1 => Ok(Self::Active),
            2 => Ok(Self::Replica),
            3 => Ok(Self::Pending),
            4 => Ok(Self::Dead),
            code => Err(frame.bad("vBucket state", code)),
        }
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new().u8(match self {
            Self::Active => 1,
            Self::Replica => 2,
            Self::Pending => 3,
            Self::Dead => 4,
        });
    }
}

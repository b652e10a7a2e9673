//! Engine calls as a node executes them: a vBucket that went back is read with its prepares.

use lowtide_checkpoint::{Item, Seqno, Vbid};
use lowtide_persistence::{Engine, EngineAnswer, EngineCall, EngineDone, EngineError};

use super::vbuckets::Stored;
use crate::fault::{self, Fault};

/// A call and its answer, for a node.
pub type CallDone = EngineDone<Box<Stored>>;

/// Executes a call. [`EngineCall::Reopen`] runs on the reopened engine.
#[must_use]
pub fn run_call(call: EngineCall, engine: &dyn Engine) -> CallDone {
    run_call_with(call, engine, &mut |_| {})
}

/// Executes a call as [`run_call`] does, and shows every item of a vBucket that went back to `seen`.
#[must_use]
pub fn run_call_with(
    call: EngineCall,
    engine: &dyn Engine,
    seen: &mut dyn FnMut(&Item),
) -> CallDone {
    match call {
        EngineCall::Rollback(vb, to) if fault::is(Fault::RollbackForgetsTheDisk) => {
            EngineDone::new(call, without_rollback(engine, vb, to, seen))
        }
        _ => call.run_with(engine, |engine, vb| {
            Stored::read_with(engine, vb, seen).map(Box::new)
        }),
    }
}

/// Body of [`Fault::RollbackForgetsTheDisk`].
fn without_rollback(
    engine: &dyn Engine,
    vb: Vbid,
    to: Seqno,
    seen: &mut dyn FnMut(&Item),
) -> Result<EngineAnswer<Box<Stored>>, EngineError> {
    let mut stored = Stored::read_with(engine, vb, seen)?;
    stored.high = stored.high.min(to);
    Ok(EngineAnswer::RolledBack(Box::new(stored)))
}

//! Engine calls as a node executes them: a vBucket that went back is read with its documents.

use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{Engine, EngineAnswer, EngineCall, EngineDone, EngineError};

use super::vbuckets::Stored;
use crate::fault::{self, Fault};

/// A call and its answer, for a node.
pub type CallDone = EngineDone<Box<Stored>>;

/// Executes a call. [`EngineCall::Reopen`] runs on the reopened engine.
#[must_use]
pub fn run_call(call: EngineCall, engine: &dyn Engine) -> CallDone {
    let read = |engine: &dyn Engine, vb| Stored::read(engine, vb).map(Box::new);
    match call {
        EngineCall::Rollback(vb, to) if fault::is(Fault::RollbackForgetsTheDisk) => {
            EngineDone::new(call, without_rollback(engine, vb, to))
        }
        _ => call.run_with(engine, read),
    }
}

/// Body of [`Fault::RollbackForgetsTheDisk`].
fn without_rollback(
    engine: &dyn Engine,
    vb: Vbid,
    to: Seqno,
) -> Result<EngineAnswer<Box<Stored>>, EngineError> {
    let mut stored = Stored::read(engine, vb)?;
    stored.high = stored.high.min(to);
    Ok(EngineAnswer::RolledBack(Box::new(stored)))
}

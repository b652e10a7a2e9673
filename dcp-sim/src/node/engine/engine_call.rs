//! Engine calls other than flushes, and their answers.
//!
//! The host executes a call and decides how long it takes, as with a flush.
//!
//! # Invariants
//!
//! - A failed call changed nothing and can be retried unchanged.

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};
use lowtide_persistence::{Engine, EngineError, RolledBack};

use crate::fault::{self, Fault};
use crate::node::vbuckets::Stored;

/// A call to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineCall {
    /// Create an empty vBucket.
    Create(Vbid),
    /// Drop a vBucket.
    Drop(Vbid),
    /// Roll back to the newest state at or below a seqno.
    Rollback(Vbid, Seqno),
    /// Start again without data: the engine has no state old enough for a rollback.
    Reset(Vbid),
    /// Close and reopen the store, and return its vBuckets.
    Reopen,
}

/// A vBucket of a reopened store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// The vBucket.
    pub vb: Vbid,
    /// State committed with its last batch; `None` without a batch.
    pub state: Option<VBucketState>,
    /// The last seqno.
    pub high: Seqno,
}

/// Answer of the engine.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineAnswer {
    /// The call is done.
    Done,
    /// Content after a rollback.
    RolledBack(Box<Stored>),
    /// The engine has no state old enough; a reset is needed.
    NeedsReset,
    /// vBuckets of the reopened store.
    Reopened(Vec<Attached>),
}

/// A call and its answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct EngineDone {
    /// The call.
    pub call: EngineCall,
    /// Answer of the engine.
    pub result: Result<EngineAnswer, EngineError>,
}

impl EngineCall {
    /// Returns the vBucket of the call, or `None` for a call about the whole store.
    #[must_use]
    pub const fn vbucket(&self) -> Option<Vbid> {
        match *self {
            Self::Create(vb) | Self::Drop(vb) | Self::Rollback(vb, _) | Self::Reset(vb) => Some(vb),
            Self::Reopen => None,
        }
    }

    /// Returns the name of the call, for reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Drop(_) => "drop",
            Self::Rollback(..) => "rollback",
            Self::Reset(_) => "reset",
            Self::Reopen => "reopen",
        }
    }

    /// Executes the call. [`EngineCall::Reopen`] runs on the reopened engine.
    #[must_use]
    pub fn run(self, engine: &dyn Engine) -> EngineDone {
        EngineDone {
            call: self,
            result: self.try_run(engine),
        }
    }

    /// Returns the answer of a call that could not run, because the store is closed or gone.
    #[must_use]
    pub const fn failed(self, error: EngineError) -> EngineDone {
        EngineDone {
            call: self,
            result: Err(error),
        }
    }

    fn try_run(self, engine: &dyn Engine) -> Result<EngineAnswer, EngineError> {
        match self {
            Self::Create(vb) => create(engine, vb).map(|()| EngineAnswer::Done),
            Self::Drop(vb) => drop_vbucket(engine, vb).map(|()| EngineAnswer::Done),
            Self::Rollback(vb, to) if fault::is(Fault::RollbackForgetsTheDisk) => {
                without_rollback(engine, vb, to)
            }
            Self::Rollback(vb, to) => match engine.rollback(vb, to)? {
                RolledBack::Done { .. } => Ok(EngineAnswer::RolledBack(Box::new(Stored::read(
                    engine, vb,
                )?))),
                RolledBack::NeedsReset { .. } => Ok(EngineAnswer::NeedsReset),
            },
            Self::Reset(vb) => {
                drop_vbucket(engine, vb)?;
                create(engine, vb)?;
                Ok(EngineAnswer::RolledBack(Box::default()))
            }
            Self::Reopen => {
                let attached = engine.vbuckets().into_iter().map(|vb| {
                    let snapshot = engine.snapshot(vb)?;
                    Ok(Attached {
                        vb,
                        state: snapshot.state().cloned(),
                        high: snapshot.high(),
                    })
                });
                attached
                    .collect::<Result<_, _>>()
                    .map(EngineAnswer::Reopened)
            }
        }
    }
}

/// Creates a vBucket. An existing one is the result of an earlier attempt, since only the node
/// creates vBuckets.
fn create(engine: &dyn Engine, vb: Vbid) -> Result<(), EngineError> {
    match engine.create(vb) {
        Err(EngineError::VBucketExists { .. }) => Ok(()),
        result => result,
    }
}

fn drop_vbucket(engine: &dyn Engine, vb: Vbid) -> Result<(), EngineError> {
    match engine.drop_vbucket(vb) {
        Err(EngineError::UnknownVBucket { .. }) => Ok(()),
        result => result,
    }
}

/// Body of [`Fault::RollbackForgetsTheDisk`].
fn without_rollback(engine: &dyn Engine, vb: Vbid, to: Seqno) -> Result<EngineAnswer, EngineError> {
    let mut stored = Stored::read(engine, vb)?;
    stored.high = stored.high.min(to);
    Ok(EngineAnswer::RolledBack(Box::new(stored)))
}

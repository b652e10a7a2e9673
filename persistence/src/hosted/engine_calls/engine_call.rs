//! Engine calls other than flushes, and their answers.
//!
//! The host executes a call when and where it likes, as with a flush.
//!
//! # Invariants
//!
//! - A failed call can be retried unchanged: it changed nothing, or what is left of it to do is the
//!   same call.

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::{Engine, EngineError, RolledBack};

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

/// Content of a vBucket in an engine, as far as its flusher needs it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// The vBucket.
    pub vb: Vbid,
    /// State committed with its last batch; `None` without a batch.
    pub state: Option<VBucketState>,
    /// The last seqno.
    pub high: Seqno,
    /// Seqno of the highest purged tombstone.
    pub purge: Seqno,
}

/// Answer of the engine. `C` is what the host reads of a vBucket that went back.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineAnswer<C = Attached> {
    /// The call is done.
    Done,
    /// Content after a rollback or a reset.
    RolledBack(C),
    /// The engine has no state old enough; a reset is needed.
    NeedsReset,
    /// vBuckets of the reopened store.
    Reopened {
        /// Content of each.
        attached: Vec<Attached>,
        /// Those that it cannot read, each with its damage. The others serve.
        unreadable: Vec<(Vbid, EngineError)>,
    },
}

/// A call and its answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct EngineDone<C = Attached> {
    /// The call.
    pub call: EngineCall,
    /// Answer of the engine.
    pub result: Result<EngineAnswer<C>, EngineError>,
}

impl Attached {
    /// Reads what the engine has of a vBucket. O(1).
    ///
    /// # Errors
    /// Same as [`Engine::snapshot`].
    pub fn read(engine: &dyn Engine, vb: Vbid) -> Result<Self, EngineError> {
        let snapshot = engine.snapshot(vb)?;
        Ok(Self {
            vb,
            state: snapshot.state().cloned(),
            high: snapshot.high(),
            purge: snapshot.info().purge,
        })
    }
}

impl<C> EngineDone<C> {
    /// Returns a call with the answer that the host has for it: an error if the store is closed or
    /// gone.
    #[must_use]
    pub const fn new(call: EngineCall, result: Result<EngineAnswer<C>, EngineError>) -> Self {
        Self { call, result }
    }
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
        self.run_with(engine, Attached::read)
    }

    /// Executes the call as [`EngineCall::run`] does, and reads a vBucket that went back by `read`.
    pub fn run_with<C>(
        self,
        engine: &dyn Engine,
        read: impl FnOnce(&dyn Engine, Vbid) -> Result<C, EngineError>,
    ) -> EngineDone<C> {
        EngineDone::new(self, self.try_run(engine, read))
    }

    fn try_run<C>(
        self,
        engine: &dyn Engine,
        read: impl FnOnce(&dyn Engine, Vbid) -> Result<C, EngineError>,
    ) -> Result<EngineAnswer<C>, EngineError> {
        match self {
            Self::Create(vb) => create(engine, vb).map(|()| EngineAnswer::Done),
            Self::Drop(vb) => drop_vbucket(engine, vb).map(|()| EngineAnswer::Done),
            Self::Rollback(vb, to) => match engine.rollback(vb, to)? {
                RolledBack::Done { .. } => read(engine, vb).map(EngineAnswer::RolledBack),
                RolledBack::NeedsReset { .. } => Ok(EngineAnswer::NeedsReset),
            },
            Self::Reset(vb) => {
                drop_vbucket(engine, vb)?;
                create(engine, vb)?;
                read(engine, vb).map(EngineAnswer::RolledBack)
            }
            Self::Reopen => {
                let (mut attached, mut unreadable) = (Vec::new(), Vec::new());
                for vb in engine.vbuckets() {
                    match Attached::read(engine, vb) {
                        Ok(found) => attached.push(found),
                        Err(error) if is_damage(&error) => unreadable.push((vb, error)),
                        Err(error) => return Err(error),
                    }
                }
                Ok(EngineAnswer::Reopened {
                    attached,
                    unreadable,
                })
            }
        }
    }
}

/// Returns `true` for an error that no later attempt can be without.
const fn is_damage(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Corrupt { .. }
            | EngineError::KeyMissing { .. }
            | EngineError::KeyWrong { .. }
            | EngineError::Unsupported { .. }
    )
}

/// Creates a vBucket. An existing one is the result of an earlier attempt, since only the host
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

#[cfg(test)]
mod tests;

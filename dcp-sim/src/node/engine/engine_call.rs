//! Engine calls that are no flush: what is asked goes in, what the engine said comes out.
//!
//! As with a flush the host carries the call out and decides how long it takes. What always holds: a call that failed
//! has changed nothing and may be tried again as it stands.

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};
use lowtide_persistence::{Engine, EngineError, RolledBack};

use crate::fault::{self, Fault};
use crate::node::vbuckets::Stored;

/// What a node asks its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineCall {
    /// Make an empty vBucket.
    Create(Vbid),
    /// Remove a vBucket.
    Drop(Vbid),
    /// Go back to the newest state at or below a seqno.
    Rollback(Vbid, Seqno),
    /// Start again with nothing: the engine has no state as old as is wanted.
    Reset(Vbid),
    /// The host closes the store and opens it again, before it says what is there.
    Reopen,
}

/// What an engine has of a vBucket, in brief.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The vBucket.
    pub vb: Vbid,
    /// What was committed with its last batch; `None` if there was none.
    pub state: Option<VBucketState>,
    /// Its last seqno.
    pub high: Seqno,
}

/// What an engine answers.
#[derive(Debug)]
pub enum EngineAnswer {
    /// It is done.
    Done,
    /// This is what is left after a rollback.
    RolledBack(Box<Stored>),
    /// It can't go back so far.
    NeedsReset,
    /// The store was reopened and has these.
    Reopened(Vec<Attached>),
}

/// A call and its answer.
#[derive(Debug)]
pub struct EngineDone {
    /// The refused command.
    pub call: EngineCall,
    /// What the engine said.
    pub result: Result<EngineAnswer, EngineError>,
}

impl EngineCall {
    /// The vBucket it is about; `None` for one about the store as a whole.
    #[must_use]
    pub const fn vbucket(&self) -> Option<Vbid> {
        match *self {
            Self::Create(vb) | Self::Drop(vb) | Self::Rollback(vb, _) | Self::Reset(vb) => Some(vb),
            Self::Reopen => None,
        }
    }

    /// Its name, for reports.
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

    /// Carries it out; for [`EngineCall::Reopen`] on the engine that was opened anew.
    #[must_use]
    pub fn run(self, engine: &dyn Engine) -> EngineDone {
        EngineDone {
            call: self,
            result: self.try_run(engine),
        }
    }

    fn try_run(self, engine: &dyn Engine) -> Result<EngineAnswer, EngineError> {
        match self {
            Self::Create(vb) => create(engine, vb).map(|()| EngineAnswer::Done),
            Self::Drop(vb) => drop_vbucket(engine, vb).map(|()| EngineAnswer::Done),
            Self::Rollback(vb, to) if fault::is(Fault::RollbackForgetsTheDisk) => {
                let mut stored = Stored::read(engine, vb)?;
                stored.high = stored.high.min(to);
                Ok(EngineAnswer::RolledBack(Box::new(stored)))
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

/// One that is there already is what an attempt before this one has made: nobody else makes any.
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

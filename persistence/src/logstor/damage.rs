//! What is damaged, and whom it harms.
//!
//! Always (L24): damage harms the vBuckets whose records it may have taken, and no others. They are there, answer
//! everything with what is wrong, and can be dropped. Who is harmed is known
//!
//! - of a frame with a sound header, from the epochs that names: exactly, if all its records are of one vBucket, as in what
//!   rewriting wrote to a vBucket's own segments; in a group commit's frame also those vBuckets count whose epochs lie
//!   between;
//! - of a large record whose first piece is sound, from the epoch in that;
//! - of a record above the high seqno that its vBucket's state says, from its epoch: the newest state is lost;
//! - of rows of an index image that are damaged together with the log, from whose they are.
//!
//! Where a header is damaged and frames follow, nobody knows what was there: the store does not open. Segments that hold
//! records of a vBucket that can't be read are set aside: neither rewritten nor freed before it is dropped (L25), because
//! nobody knows which of its records are needed.

use std::path::PathBuf;

use crate::contract::EngineError;

/// What is wrong, and where; as often as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    path: PathBuf,
    offset: u64,
    what: String,
}

impl Damage {
    /// Of an error that is damage; any other one is given back.
    pub(super) fn of(error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { path, offset, what } => Ok(Self { path, offset, what }),
            error => Err(error),
        }
    }

    pub(super) fn error(&self) -> EngineError {
        EngineError::Corrupt {
            path: self.path.clone(),
            offset: self.offset,
            what: self.what.clone(),
        }
    }
}

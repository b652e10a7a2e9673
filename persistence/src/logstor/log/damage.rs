//! Damage to acknowledged records, and the vBuckets that it harms.
//!
//! # Invariants
//!
//! Damage harms the vBuckets whose records it may have taken, and no others (L24). Those vBuckets
//! exist, answer every request with the damage, and can be dropped. The harmed vBuckets are known:
//!
//! - for a frame with a sound header, from its epochs. That is exact if all its records belong to
//!   one vBucket, as in segments that rewriting wrote for one. In a group commit's frame, vBuckets
//!   with an epoch in between count, too;
//! - for a large record whose first fragment is sound, from the epoch in that fragment;
//! - for a record above its vBucket's high seqno, from its epoch: the newest state is lost;
//! - for rows of an index image that are damaged together with the log, from their section.
//!
//! Where a header is damaged and frames follow, the harmed vBuckets are unknown: the store does not
//! open.
//!
//! Segments that hold records of an unreadable vBucket are quarantined: they are neither rewritten
//! nor freed before the vBucket is dropped, because it is unknown which of its records are needed
//! (L25).

use std::path::PathBuf;

use crate::contract::EngineError;

/// A place and a description, from which the error is made as often as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Damage {
    path: PathBuf,
    offset: u64,
    what: String,
}

impl Damage {
    /// Takes the damage from an error. Any other error is returned.
    pub(in crate::logstor) fn of(error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { path, offset, what } => Ok(Self { path, offset, what }),
            error => Err(error),
        }
    }

    pub(in crate::logstor) fn error(&self) -> EngineError {
        EngineError::Corrupt {
            path: self.path.clone(),
            offset: self.offset,
            what: self.what.clone(),
        }
    }
}

//! The errors of a follower: reasons why it has no next event now.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{CheckpointError, Seqno, VBucketError, Vbid};

use crate::contract::EngineError;

/// The reason why a follower has no next event. Its place is unchanged: the host may ask again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowerError {
    /// The vBucket refused the subscription.
    #[error(transparent)]
    VBucket(#[from] VBucketError),
    /// The checkpoint manager refused a read: a consumer of the same name has replaced the follower.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Reason.
        source: CheckpointError,
    },
    /// A step of a backfill failed. The next one begins where the reader is.
    #[error("vBucket {vb}: {source}")]
    Engine {
        /// The vBucket.
        vb: Vbid,
        /// Reason.
        source: EngineError,
    },
    /// Neither memory nor disk has the next items. That is so for a vBucket without a store, and for
    /// one that is being rolled back.
    #[error("vBucket {vb}: seqnos {from} to {to} are neither in memory nor on disk")]
    NotOnDisk {
        /// The vBucket.
        vb: Vbid,
        /// First seqno that may be missing.
        from: Seqno,
        /// Last seqno before memory continues.
        to: Seqno,
    },
    /// An invariant of the follower does not hold: a bug. Please report it.
    #[error("vBucket {vb}: internal error: invariant {invariant} is violated: {what}")]
    Internal {
        /// The vBucket.
        vb: Vbid,
        /// The invariant's id in `docs/invariants.md`.
        invariant: &'static str,
        /// The condition that does not hold.
        what: &'static str,
    },
}

impl FollowerError {
    pub(super) fn internal(vb: Vbid, violation: Violation) -> Self {
        let Violation { invariant, what } = violation;
        Self::Internal {
            vb,
            invariant,
            what,
        }
    }
}

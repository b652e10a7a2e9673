//! The errors of a vBucket: the reasons to refuse an operation.
//!
//! Each names the vBucket, because a caller serves many of them.
//!
//! # Invariants
//! - An operation that returns an error has changed nothing (C15).

use crate::error::CheckpointError;
use crate::model::{FailoverLogError, Seqno, State, VbUuid, Vbid};

/// The reason why a [`VBucket`](crate::VBucket) refused an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VBucketError {
    /// Only an active takes writes. Only a replica or pending vBucket takes snapshots and rollbacks.
    /// A dead one serves no reader.
    #[error("vBucket {vb} is {state}: the operation needs another state")]
    WrongState {
        /// The vBucket.
        vb: Vbid,
        /// Current state.
        state: State,
    },
    /// An active cannot become pending, which is the state before active.
    #[error("vBucket {vb} cannot change from {from} to {to}")]
    NoTransition {
        /// The vBucket.
        vb: Vbid,
        /// Current state.
        from: State,
        /// Requested state.
        to: State,
    },
    /// Continuing the active's branch needs a complete last snapshot. The caller waits for the rest,
    /// or passes a uuid for a new branch.
    #[error(
        "vBucket {vb} has only seqno {high} of a snapshot that ends at {snapshot_end}: complete the \
         snapshot or pass a uuid to start a branch"
    )]
    HalfSnapshot {
        /// The vBucket.
        vb: Vbid,
        /// Last seqno of the vBucket.
        high: Seqno,
        /// Seqno that completes the snapshot.
        snapshot_end: Seqno,
    },
    /// The vBucket was active when its process stopped uncleanly. Items that it delivered may be lost
    /// here, so it cannot continue its branch. The caller passes a uuid, or has it follow another
    /// active first.
    #[error(
        "vBucket {vb} was active before an unclean stop: pass a uuid to start a branch, or let it \
         follow another active first"
    )]
    NeedsBranch {
        /// The vBucket.
        vb: Vbid,
    },
    /// Only a vBucket that is or becomes active begins a branch. The name would be lost.
    #[error("uuid {uuid} given for vBucket {vb}, but a change to {state} starts no branch")]
    NoBranch {
        /// The vBucket.
        vb: Vbid,
        /// Requested state.
        state: State,
        /// Name of the branch.
        uuid: VbUuid,
    },
    /// The reader has items that are not of this history, or lacks tombstones that were purged.
    #[error("vBucket {vb}: the reader must discard everything after seqno {to}")]
    GoBack {
        /// The vBucket.
        vb: Vbid,
        /// Last seqno that the reader may keep. It goes further back if it is not whole there.
        to: Seqno,
    },
    /// The name is not valid for a new branch.
    #[error("vBucket {vb}: {source}")]
    Branch {
        /// The vBucket.
        vb: Vbid,
        /// Reason.
        source: FailoverLogError,
    },
    /// Durable writes complete in the order in which they began, each once.
    #[error(
        "vBucket {vb}: item {seqno} completes prepare {prepare_seqno}, expected a prepare above \
         {high_completed} and below the item"
    )]
    CompletionOutOfOrder {
        /// The vBucket.
        vb: Vbid,
        /// Seqno that the commit or abort has, or would have had.
        seqno: Seqno,
        /// Prepare that it names; 0 if it names none.
        prepare_seqno: Seqno,
        /// Seqno up to which all prepares are completed.
        high_completed: Seqno,
    },
    /// A snapshot cannot undo completed prepares.
    #[error(
        "vBucket {vb}: the snapshot has completed prepares up to {offered}, below {high_completed} \
         on this copy"
    )]
    CompletedFalls {
        /// The vBucket.
        vb: Vbid,
        /// Completed seqno of the marker.
        offered: Seqno,
        /// Seqno up to which all prepares are completed here.
        high_completed: Seqno,
    },
    /// A revision came with the highest CAS, so there is none left for the next write.
    /// [`VBucket::force_max_cas`](crate::VBucket::force_max_cas) sets the clock back.
    #[error("vBucket {vb} has seen the highest CAS: set its clock back before the next write")]
    ClockExhausted {
        /// The vBucket.
        vb: Vbid,
    },
    /// The seqno to roll back to is above the last one.
    #[error("vBucket {vb} cannot be rolled back to {to}, its last seqno is {high}")]
    RollbackAhead {
        /// The vBucket.
        vb: Vbid,
        /// Requested seqno.
        to: Seqno,
        /// Last seqno of the vBucket.
        high: Seqno,
    },
    /// The checkpoint manager refused the operation.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Reason.
        source: CheckpointError,
    },
}

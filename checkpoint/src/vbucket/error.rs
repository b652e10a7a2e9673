//! Why a vBucket refused: nothing has changed then.

use crate::{CheckpointError, FailoverLogError, Seqno, State, VbUuid, Vbid};

/// What a [`VBucket`](crate::VBucket) returns when it refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VBucketError {
    /// Writes go to the active, snapshots and rollbacks to replicas and pending ones; the dead serve nobody.
    #[error("vBucket {vb} is {state}")]
    WrongState {
        /// The vBucket.
        vb: Vbid,
        /// What it is.
        state: State,
    },
    /// An active does not become pending: it would have to become active again, which it is.
    #[error("vBucket {vb} is {from} and can't become {to}")]
    NoTransition {
        /// The vBucket.
        vb: Vbid,
        /// What it is.
        from: State,
        /// What it was to become.
        to: State,
    },
    /// Going on with its active's branch needs all of its last snapshot. Wait for the rest, or start a branch.
    #[error(
        "vBucket {vb} has {high} of a snapshot to {snapshot_end}: the branch can't be continued from there"
    )]
    HalfSnapshot {
        /// The vBucket.
        vb: Vbid,
        /// The last seqno it has.
        high: Seqno,
        /// What would complete it.
        snapshot_end: Seqno,
    },
    /// It was active when its process ended, and not in order. What it told others may be lost here, so it can't go on with its
    /// branch: give a uuid, or have it follow another first.
    #[error(
        "vBucket {vb} was active before an unclean stop: it leads again only on a branch of its own"
    )]
    NeedsBranch {
        /// The vBucket.
        vb: Vbid,
    },
    /// Only one that is or becomes active begins a branch: the name would be lost.
    #[error(
        "vBucket {vb} is to be {state}, which begins no branch, but was given the name {uuid} for one"
    )]
    NoBranch {
        /// The vBucket.
        vb: Vbid,
        /// What it was to become.
        state: State,
        /// The name.
        uuid: VbUuid,
    },
    /// The reader has what is not of this history, or lacks tombstones that were purged: it must go back first.
    #[error("vBucket {vb}: the reader must give up everything after {to}")]
    GoBack {
        /// The vBucket.
        vb: Vbid,
        /// The last seqno that it may keep. It goes further back, to a place where it was whole.
        to: Seqno,
    },
    /// The branch it was to start can't have that name.
    #[error("vBucket {vb}: {source}")]
    Branch {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        source: FailoverLogError,
    },
    /// Durable writes end in the order they began, each once.
    #[error(
        "vBucket {vb}: the item @{seqno} ends prepare {prepare_seqno}, but only one above {high_completed} and below the \
         item itself can be ended"
    )]
    CompletionOutOfOrder {
        /// The vBucket.
        vb: Vbid,
        /// The seqno that the commit or abort has, or would have had.
        seqno: Seqno,
        /// The prepare it names; 0 if it names none.
        prepare_seqno: Seqno,
        /// All prepares up to this one have ended.
        high_completed: Seqno,
    },
    /// A snapshot can't undo what has ended.
    #[error(
        "vBucket {vb}: a snapshot has ended prepares up to {offered}, this vBucket up to {high_completed}"
    )]
    CompletedFalls {
        /// The vBucket.
        vb: Vbid,
        /// What the marker says.
        offered: Seqno,
        /// All prepares up to this one have ended here.
        high_completed: Seqno,
    },
    /// Some revision came with the highest CAS there is, so none is left for the next. `force_max_cas` sets the clock.
    #[error(
        "vBucket {vb} has seen the highest CAS there is: its clock must be set back before it takes writes"
    )]
    ClockExhausted {
        /// The vBucket.
        vb: Vbid,
    },
    /// There is nothing to go back to.
    #[error("vBucket {vb} has {high}: it can't be rolled back to {to}")]
    RollbackAhead {
        /// The vBucket.
        vb: Vbid,
        /// Where it was to go back to.
        to: Seqno,
        /// The last seqno it has.
        high: Seqno,
    },
    /// Its checkpoint manager refused.
    #[error("vBucket {vb}: {source}")]
    Checkpoint {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        source: CheckpointError,
    },
}

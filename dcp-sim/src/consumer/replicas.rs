//! Interface between a consumer and its host: where messages are applied, and the events that the
//! host handles.

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, Item, Seqno, SnapshotMarker, State, VBucketError, Vbid,
};

use super::error::ConsumerError;
use crate::wire::{Status, StreamEndReason};

/// Target of a consumer's messages. A refused message changes nothing, and its status is sent to
/// the producer. [`CheckpointError::Internal`] closes the connection.
pub trait Replicas {
    /// Replaces the vBucket's failover log after its stream was opened.
    ///
    /// # Errors
    /// If the node has no such vBucket.
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError>;

    /// Begins or extends a snapshot.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError>;

    /// Applies an item of the snapshot. A commit names its prepare and has no value of its own.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError>;

    /// Advances the snapshot to `seqno`, though its last items are not for this consumer.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn advance(&mut self, vb: Vbid, seqno: Seqno) -> Result<(), VBucketError>;

    /// Sets the vBucket's state on its current branch: a step of a takeover.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn set_state(&mut self, vb: Vbid, state: State) -> Result<(), VBucketError>;
}

/// Event that the host must handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// A stream was opened.
    StreamOpened(Vbid),
    /// The vBucket must be rolled back to the seqno before the next stream request.
    Rollback {
        /// The vBucket.
        vb: Vbid,
        /// Last seqno to keep.
        seqno: Seqno,
    },
    /// A stream was refused.
    StreamRefused {
        /// The vBucket.
        vb: Vbid,
        /// The reason.
        status: Status,
    },
    /// A step of a takeover was taken: the vBucket has this state now.
    StateSet {
        /// The vBucket.
        vb: Vbid,
        /// Its state.
        state: State,
    },
    /// A message was refused and answered.
    Refused {
        /// The vBucket.
        vb: Vbid,
        /// Status that was sent.
        status: Status,
    },
    /// A stream ended.
    StreamEnded {
        /// The vBucket.
        vb: Vbid,
        /// The reason.
        reason: StreamEndReason,
    },
}

/// Reason why a message was not applied.
pub(super) enum NotApplied {
    /// It is answered with a status.
    Refused(Status),
    /// The vBucket is in an impossible state, and nothing more can be applied to it.
    Failed(ConsumerError),
}

impl From<Status> for NotApplied {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<VBucketError> for NotApplied {
    fn from(error: VBucketError) -> Self {
        let VBucketError::Checkpoint { source, .. } = error else {
            return Self::Refused(match error {
                VBucketError::WrongState { .. } => Status::NOT_MY_VBUCKET,
                _ => Status::INVALID,
            });
        };
        Self::Refused(match source {
            CheckpointError::OutOfOrder { .. } | CheckpointError::OutOfRange { .. } => {
                Status::RANGE
            }
            CheckpointError::NoMemory { .. } => Status::OUT_OF_MEMORY,
            CheckpointError::TooLarge { .. } => Status::TOO_BIG,
            CheckpointError::ReservedCollection { .. } => Status::UNKNOWN_COLLECTION,
            CheckpointError::Internal { invariant, what } => {
                return Self::Failed(ConsumerError::Internal { invariant, what });
            }
            _ => Status::INVALID,
        })
    }
}

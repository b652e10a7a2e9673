//! Where a consumer applies what arrives, and what it tells its host.

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, Item, Seqno, SnapshotMarker, State, VBucketError, Vbid,
};

use crate::wire::{Status, StreamEndReason};

/// Where what arrives is applied. What is refused changes nothing, and the producer is told why.
pub trait Replicas {
    /// A stream was opened: these are its vBucket's branches now.
    ///
    /// # Errors
    /// If the node has no such vBucket.
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError>;

    /// A snapshot begins, or goes on.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError>;

    /// An item of the snapshot. A commit names its prepare and has no value: that is the prepare's.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError>;

    /// The snapshot has come to that seqno, though its last items are not for this consumer.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn advance(&mut self, vb: Vbid, seqno: Seqno) -> Result<(), VBucketError>;

    /// A takeover's step: the vBucket gets that state, on the branch it is on.
    ///
    /// # Errors
    /// If the vBucket refuses it.
    fn set_state(&mut self, vb: Vbid, state: State) -> Result<(), VBucketError>;
}

/// What a host must act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// A stream is open.
    StreamOpened(Vbid),
    /// The vBucket must give up everything after that seqno, and then ask again.
    Rollback {
        /// The vBucket.
        vb: Vbid,
        /// The last seqno it may keep.
        seqno: Seqno,
    },
    /// A stream was refused.
    StreamRefused {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        status: Status,
    },
    /// A takeover's step was taken: the vBucket is this now.
    StateSet {
        /// The vBucket.
        vb: Vbid,
        /// Its state.
        state: State,
    },
    /// A message was refused, and the producer told so.
    Refused {
        /// The vBucket.
        vb: Vbid,
        /// What it was told.
        status: Status,
    },
    /// A stream is over.
    StreamEnded {
        /// The vBucket.
        vb: Vbid,
        /// Why.
        reason: StreamEndReason,
    },
}

/// What the producer is told when a vBucket refuses something.
pub(super) fn status_of(error: &VBucketError) -> Status {
    match error {
        VBucketError::WrongState { .. } => Status::NOT_MY_VBUCKET,
        VBucketError::Checkpoint { source, .. } => match source {
            CheckpointError::OutOfOrder { .. } | CheckpointError::OutOfRange { .. } => {
                Status::RANGE
            }
            CheckpointError::NoMemory { .. } => Status::OUT_OF_MEMORY,
            CheckpointError::TooLarge { .. } => Status::TOO_BIG,
            CheckpointError::ReservedCollection { .. } => Status::UNKNOWN_COLLECTION,
            _ => Status::INVALID,
        },
        _ => Status::INVALID,
    }
}

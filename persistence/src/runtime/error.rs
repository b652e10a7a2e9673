//! The errors of a store: why it refused an operation, and what the caller can do.

use lowtide_checkpoint::{Cas, Key, Seqno, VBucketError, Vbid};

use crate::contract::EngineError;
use crate::disk::DiskError;
use crate::hosted::FollowerError;

/// The reason why a store refused an operation. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store has no such vBucket.
    #[error("no vBucket {vb} in this store")]
    UnknownVBucket {
        /// The vBucket.
        vb: Vbid,
    },
    /// The vBucket exists already.
    #[error("vBucket {vb} exists")]
    VBucketExists {
        /// The vBucket.
        vb: Vbid,
    },
    /// A document that was to be added exists.
    #[error("vBucket {vb}: a document with the key {key} exists, with CAS {cas}")]
    KeyExists {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The CAS of the document.
        cas: Cas,
    },
    /// A document that was to be replaced, deleted or expired does not exist.
    #[error("vBucket {vb}: no document with the key {key}")]
    KeyNotFound {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
    },
    /// The document has another CAS than the one that the caller has seen.
    #[error("vBucket {vb}: the document with the key {key} has CAS {found}, not {expected}")]
    CasMismatch {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The caller's CAS.
        expected: Cas,
        /// The document's CAS.
        found: Cas,
    },
    /// A durable write of the key has not ended. It must be committed or aborted first.
    #[error("vBucket {vb}: the durable write {prepare_seqno} of the key {key} has not ended")]
    WriteInProgress {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The seqno of its prepare.
        prepare_seqno: Seqno,
    },
    /// There is no durable write of the key with that prepare.
    #[error("vBucket {vb}: no durable write {prepare_seqno} of the key {key}")]
    NoWriteInProgress {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The seqno of the prepare.
        prepare_seqno: Seqno,
    },
    /// The document that was to be expired has not reached its expiry.
    #[error("vBucket {vb}: the document with the key {key} expires at {expiry} s, not before")]
    NotExpired {
        /// The vBucket.
        vb: Vbid,
        /// The key.
        key: Key,
        /// The expiry in seconds since the epoch; 0 for never.
        expiry: u32,
    },
    /// Memory is used up, and nothing more of it can be freed until the disk or the readers move
    /// on. Writing again later succeeds; [`Store::wait_for_memory`](super::Store::wait_for_memory)
    /// waits for it.
    #[error(
        "vBucket {vb}: {used_bytes} of {limit_bytes} bytes of unwritten changes are used, and none can be freed now"
    )]
    NoMemory {
        /// The vBucket.
        vb: Vbid,
        /// Bytes of changes in memory.
        used_bytes: usize,
        /// Their limit.
        limit_bytes: usize,
    },
    /// The engine is being reopened after a failure, and the operation needs it open. Documents are
    /// written and read nevertheless. Try again, or wait for the store's health.
    #[error("the engine is not open: {reason}")]
    Reopening {
        /// The failure.
        reason: String,
    },
    /// A replica has no whole snapshot to read from. Try again when the rest of the snapshot has
    /// arrived.
    #[error("vBucket {vb} cannot be read now: the rest of a snapshot is missing")]
    HalfSnapshot {
        /// The vBucket.
        vb: Vbid,
    },
    /// The write that was waited for was rolled back, and will never be persisted.
    #[error("vBucket {vb} was rolled back to {to}: seqno {seqno} is gone")]
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// The seqno of the write.
        seqno: Seqno,
        /// The seqno that the vBucket went back to.
        to: Seqno,
    },
    /// The store cannot go back that far. The caller drops the vBucket and fills it again.
    #[error("vBucket {vb} cannot go back to {to}: the oldest state on its disk is {lowest}")]
    NeedsReset {
        /// The vBucket.
        vb: Vbid,
        /// The requested seqno.
        to: Seqno,
        /// The high seqno of the oldest state on disk.
        lowest: Seqno,
    },
    /// The store was closed or dropped.
    #[error("the store is closed")]
    Closed,
    /// An option is invalid.
    #[error("{0}")]
    InvalidOption(&'static str),
    /// A thread could not be started.
    #[error("the thread {name} could not be started: {source}")]
    Thread {
        /// The name of the thread.
        name: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A follower has no next event.
    #[error(transparent)]
    Follower(FollowerError),
    /// The vBucket refused the operation.
    #[error(transparent)]
    VBucket(#[from] VBucketError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        Self::Engine(error.into())
    }
}

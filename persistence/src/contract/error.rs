//! Why an engine refused or failed: precise enough to act on, stable enough to test.

use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::disk::{DiskError, DiskErrorKind};

/// What engine operations return on failure. Nothing has changed then, but for [`EngineError::Poisoned`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A batch's seqnos must strictly increase and exceed the vBucket's high seqno.
    #[error("vBucket {vb}: seqno {seqno} does not exceed {previous}")]
    OutOfOrder {
        /// The vBucket.
        vb: Vbid,
        /// The seqno that came too late.
        seqno: Seqno,
        /// The one before it.
        previous: Seqno,
    },
    /// The store has no such vBucket.
    #[error("no vBucket {vb} in this store")]
    UnknownVBucket {
        /// The vBucket.
        vb: Vbid,
    },
    /// The vBucket is there already.
    #[error("vBucket {vb} exists")]
    VBucketExists {
        /// The vBucket.
        vb: Vbid,
    },
    /// An earlier batch of the same vBucket in the same call was not committed, so this one was not tried.
    #[error("vBucket {vb}: the batch before this one in the same call was not committed")]
    EarlierBatchFailed {
        /// The vBucket.
        vb: Vbid,
    },
    /// A record the format can't represent.
    #[error("vBucket {vb}, seqno {seqno}: {what} is {size}, over the format's {limit}")]
    TooLarge {
        /// The vBucket.
        vb: Vbid,
        /// The item's seqno.
        seqno: Seqno,
        /// Which part of it.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// An argument that makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
    /// The store takes no more: a sync failed earlier, so that what was written since the last good one may be gone, or its memory
    /// was found to contradict itself.
    #[error(
        "{path}: a sync failed, or the store was found inconsistent; it takes no writes until it is reopened"
    )]
    Poisoned {
        /// The file whose sync failed; the directory, if it is all of the store.
        path: PathBuf,
    },
    /// The store's memory contradicts itself: a fault of the engine, not of the files. What was to be done was not, and the store
    /// takes no writes until it is reopened.
    #[error(
        "{path}: the store's memory contradicts itself: {what}; it takes no writes until it is reopened"
    )]
    Inconsistent {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        what: &'static str,
    },
    /// A compaction of the vBucket is running: one at a time.
    #[error("vBucket {vb} is being compacted")]
    CompactionInProgress {
        /// The vBucket.
        vb: Vbid,
    },
    /// A job's vBucket is no longer what the job began with. The job is over; begin another one if it is still wanted.
    #[error("vBucket {vb}: {why}")]
    Aborted {
        /// The vBucket.
        vb: Vbid,
        /// What has happened to it.
        why: &'static str,
    },
    /// Numbers that only grow have reached the highest there is (E31, L49), and the operation needs more of them. Nothing was
    /// changed.
    #[error("{path}: {what} are used up")]
    NumbersUsedUp {
        /// Whose numbers they are: the file that has the highest one, or the store's directory.
        path: PathBuf,
        /// Which numbers.
        what: &'static str,
    },
    /// A directory in which another engine keeps its store. Nothing was written to it.
    #[error("{path}: this is a {engine} store: {file} is in it")]
    ForeignStore {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        engine: &'static str,
        /// One of that engine's files.
        file: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Bytes that are not what was written.
    #[error("{path} at offset {offset}: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A store that was written to while it was only looked at: what was seen of it is of no one time.
    #[error("{path}: the store is in use: it was written to while it was read")]
    InUse {
        /// Its directory.
        path: PathBuf,
    },
    /// A file that is encrypted with a key that was not given.
    #[error("{path}: encrypted with key {key_id}, which was not given")]
    KeyMissing {
        /// The file.
        path: PathBuf,
        /// The key's id.
        key_id: String,
    },
    /// A file that is encrypted with another key than the one given under its id.
    #[error(
        "{path}: encrypted with key {key_id}, but the key given under this id does not open it"
    )]
    KeyWrong {
        /// The file.
        path: PathBuf,
        /// The key's id.
        key_id: String,
    },
    /// A file that is sound but not for us: a newer version, or encrypted and to be written.
    #[error("{path}: {what}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it needs.
        what: String,
    },
}

impl EngineError {
    /// One short stable word for scripts and scenario files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out-of-order",
            Self::UnknownVBucket { .. } => "unknown-vbucket",
            Self::VBucketExists { .. } => "vbucket-exists",
            Self::EarlierBatchFailed { .. } => "earlier-batch-failed",
            Self::TooLarge { .. } => "too-large",
            Self::InvalidArgument(_) => "invalid-argument",
            Self::Poisoned { .. } => "poisoned",
            Self::Inconsistent { .. } => "inconsistent",
            Self::CompactionInProgress { .. } => "compaction-in-progress",
            Self::Aborted { .. } => "aborted",
            Self::NumbersUsedUp { .. } => "numbers-used-up",
            Self::ForeignStore { .. } => "foreign-store",
            Self::Disk(error) => match error.kind {
                DiskErrorKind::NoSpace => "no-space",
                DiskErrorKind::PowerLost => "power-lost",
                DiskErrorKind::Locked => "locked",
                DiskErrorKind::TooManyFiles => "too-many-files",
                _ => "io",
            },
            Self::Corrupt { .. } => "corrupt",
            Self::InUse { .. } => "in-use",
            Self::KeyMissing { .. } => "key-missing",
            Self::KeyWrong { .. } => "key-wrong",
            Self::Unsupported { .. } => "unsupported",
        }
    }
}

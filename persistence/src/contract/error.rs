//! The errors of an engine: precise enough to act on, stable enough to test.

use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::disk::{DiskError, DiskErrorKind};

/// The error of an engine operation. Nothing has changed, except after [`EngineError::Poisoned`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A batch's seqnos must strictly increase and exceed the vBucket's high seqno.
    #[error("vBucket {vb}: seqno {seqno} does not exceed {previous}")]
    OutOfOrder {
        /// The vBucket.
        vb: Vbid,
        /// The seqno that is too low.
        seqno: Seqno,
        /// The seqno before it.
        previous: Seqno,
    },
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
    /// An earlier batch of the same vBucket in the same call was not committed; this one was not
    /// tried.
    #[error("vBucket {vb}: the batch before this one in the same call was not committed")]
    EarlierBatchFailed {
        /// The vBucket.
        vb: Vbid,
    },
    /// A record that the format can't represent.
    #[error("vBucket {vb}, seqno {seqno}: {what} is {size}, over the format's {limit}")]
    TooLarge {
        /// The vBucket.
        vb: Vbid,
        /// The item's seqno.
        seqno: Seqno,
        /// The part's name.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// An invalid argument.
    #[error("{0}")]
    InvalidArgument(String),
    /// The store was closed. Open it again to go on.
    #[error("{path}: the store is closed")]
    Closed {
        /// The store's directory.
        path: PathBuf,
    },
    /// The store takes no more writes: a sync failed earlier, and writes since the last successful
    /// sync may be lost. Or an operation returned [`EngineError::Internal`].
    #[error(
        "{path}: a sync failed, or the engine had an internal error; the store takes no writes until it is reopened"
    )]
    Poisoned {
        /// The file whose sync failed; the directory, if all of the store is affected.
        path: PathBuf,
    },
    /// An invariant of the engine does not hold: a bug of the engine, not damage of the files. The
    /// operation was not done, and the store takes no writes until it is reopened. Please report it.
    #[error(
        "{path}: internal error: invariant {invariant} is violated: {what}; the store takes no writes until it is reopened"
    )]
    Internal {
        /// The store's directory, or the file whose memory is wrong.
        path: PathBuf,
        /// The invariant's id in `docs/invariants.md`.
        invariant: &'static str,
        /// The condition that does not hold.
        what: &'static str,
    },
    /// A compaction of the vBucket is running. Only one may run at a time.
    #[error("vBucket {vb} is being compacted")]
    CompactionInProgress {
        /// The vBucket.
        vb: Vbid,
    },
    /// A job's vBucket is no longer what the job began with. The job is over; start another one if
    /// it is still wanted.
    #[error("vBucket {vb}: {why}")]
    Aborted {
        /// The vBucket.
        vb: Vbid,
        /// The change that happened to it.
        why: &'static str,
    },
    /// Numbers that only grow have reached their maximum (E31, L49), and the operation needs more
    /// of them. Nothing was changed.
    #[error("{path}: {what} are used up")]
    NumbersUsedUp {
        /// The owner of the numbers: the file that has the highest one, or the store's directory.
        path: PathBuf,
        /// The kind of numbers.
        what: &'static str,
    },
    /// A directory in which another engine keeps its store. Nothing was written to it.
    #[error("{path}: this is a {engine} store: {file} is in it")]
    ForeignStore {
        /// The directory.
        path: PathBuf,
        /// The engine that owns it.
        engine: &'static str,
        /// One of that engine's files.
        file: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Bytes that are not the ones written.
    #[error("{path} at offset {offset}: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The offset in it.
        offset: u64,
        /// The damage.
        what: String,
    },
    /// A store that was written to while it was inspected: the result reflects no single moment.
    #[error("{path}: the store is in use: it was written to while it was read")]
    InUse {
        /// The store's directory.
        path: PathBuf,
    },
    /// A file that is encrypted with a key that was not given.
    #[error("{path}: encrypted with key {key_id}: no such key was given")]
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
    /// A file that is sound but not supported: a newer version, or encrypted and to be written.
    #[error("{path}: {what}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The missing support.
        what: String,
    },
}

impl EngineError {
    /// Returns one short stable word for scripts and scenario files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out-of-order",
            Self::UnknownVBucket { .. } => "unknown-vbucket",
            Self::VBucketExists { .. } => "vbucket-exists",
            Self::EarlierBatchFailed { .. } => "earlier-batch-failed",
            Self::TooLarge { .. } => "too-large",
            Self::InvalidArgument(_) => "invalid-argument",
            Self::Closed { .. } => "closed",
            Self::Poisoned { .. } => "poisoned",
            Self::Internal { .. } => "internal",
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

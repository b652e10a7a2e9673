//! A lasting error about a store's files: every operation on the vBucket reports it again (E11).
//!
//! An [`EngineError`] owns an [`io::Error`] and cannot be cloned. A vBucket that cannot be read
//! keeps its error in this form and makes a new [`EngineError`] for each caller.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskOperation};

/// The reason that a vBucket cannot be read. It does not change while the store is open.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// Bytes that differ from those that were written.
    Corrupt {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    /// A sound file that this build does not support.
    Unsupported { path: PathBuf, what: String },
    /// A file that cannot be opened or read: a dangling link, wrong permissions, a bad sector.
    Disk(Arc<DiskError>),
}

impl Damage {
    /// Converts corruption.
    ///
    /// # Errors
    /// Any other error, unchanged.
    pub(crate) fn of(error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { path, offset, what } => Ok(Self::Corrupt { path, offset, what }),
            other => Err(other),
        }
    }

    /// Converts any error that lies in one file.
    ///
    /// # Errors
    /// Any other error, unchanged. A failed sync is one: a retry may help.
    pub(crate) fn of_file(error: EngineError) -> Result<Self, EngineError> {
        match Self::of(error) {
            Err(EngineError::Unsupported { path, what }) => Ok(Self::Unsupported { path, what }),
            Err(EngineError::Disk(error)) if is_of_the_file(&error) => {
                Ok(Self::Disk(Arc::new(error)))
            }
            other => other,
        }
    }

    /// Returns the error, for one caller.
    pub(crate) fn error(&self) -> EngineError {
        match self.clone() {
            Self::Corrupt { path, offset, what } => EngineError::Corrupt { path, offset, what },
            Self::Unsupported { path, what } => EngineError::Unsupported { path, what },
            Self::Disk(error) => EngineError::Disk(DiskError {
                operation: error.operation,
                path: error.path.clone(),
                offset: error.offset,
                kind: error.kind,
                // The source cannot be cloned: its kind and its text are kept.
                source: io::Error::new(error.source.kind(), error.source.to_string()),
            }),
        }
    }
}

/// Returns whether a failure concerns this one file: it could not be opened or read. A failed
/// write, a power loss and a lack of file handles say nothing about the file.
fn is_of_the_file(error: &DiskError) -> bool {
    matches!(
        error.operation,
        DiskOperation::Open | DiskOperation::Len | DiskOperation::Read
    ) && matches!(error.kind, DiskErrorKind::NotFound | DiskErrorKind::Io)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn failure_outside_the_file_is_not_kept() {
        let is_kept = |operation, kind| {
            let source = io::Error::other("it failed");
            let error = DiskError {
                operation,
                path: PathBuf::from("/7.couch.1"),
                offset: None,
                kind,
                source,
            };
            Damage::of_file(error.into()).is_ok()
        };
        for kind in [DiskErrorKind::Io, DiskErrorKind::NotFound] {
            assert!(
                is_kept(DiskOperation::Open, kind) && is_kept(DiskOperation::Read, kind),
                "{kind:?}"
            );
            assert!(
                !is_kept(DiskOperation::SyncData, kind) && !is_kept(DiskOperation::Write, kind),
                "{kind:?}"
            );
        }
        for kind in [DiskErrorKind::PowerLost, DiskErrorKind::TooManyFiles] {
            assert!(
                !is_kept(DiskOperation::Open, kind) && !is_kept(DiskOperation::Read, kind),
                "{kind:?}"
            );
        }
    }
}

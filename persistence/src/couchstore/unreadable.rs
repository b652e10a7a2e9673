//! A vBucket whose file can't be read: what is wrong with it, said again at every operation (E11).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskOperation};

/// What is wrong with a vBucket's file. It does not change while the store is open.
#[derive(Clone, Debug)]
pub(super) enum Unreadable {
    /// Bytes that are not what was written.
    Corrupt {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    /// Sound, but not for us.
    Unsupported { path: PathBuf, what: String },
    /// It can't be opened or read: a link that leads nowhere, another owner, a bad sector.
    Disk(Arc<DiskError>),
}

impl Unreadable {
    /// Takes what is wrong with the file itself.
    ///
    /// # Errors
    /// Anything else, such as a sync that failed: trying again may help.
    pub(super) fn new(error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { path, offset, what } => Ok(Self::Corrupt { path, offset, what }),
            EngineError::Unsupported { path, what } => Ok(Self::Unsupported { path, what }),
            EngineError::Disk(error) if is_of_the_file(&error) => Ok(Self::Disk(Arc::new(error))),
            other => Err(other),
        }
    }

    pub(super) fn error(&self) -> EngineError {
        match self.clone() {
            Self::Corrupt { path, offset, what } => EngineError::Corrupt { path, offset, what },
            Self::Unsupported { path, what } => EngineError::Unsupported { path, what },
            Self::Disk(error) => EngineError::Disk(DiskError {
                operation: error.operation,
                path: error.path.clone(),
                offset: error.offset,
                kind: error.kind,
                // It can't be cloned: its kind and its words are what is left of it.
                source: io::Error::new(error.source.kind(), error.source.to_string()),
            }),
        }
    }
}

/// Whether a failure is this one file's: it could not be opened or read. One that writes, or one for want of power or of
/// file handles, says nothing of the file.
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
    fn what_is_not_the_files_fault_fails_the_opening() {
        let is_taken = |operation, kind| {
            let source = io::Error::other("it failed");
            let error = DiskError {
                operation,
                path: PathBuf::from("/7.couch.1"),
                offset: None,
                kind,
                source,
            };
            Unreadable::new(error.into()).is_ok()
        };
        for kind in [DiskErrorKind::Io, DiskErrorKind::NotFound] {
            assert!(
                is_taken(DiskOperation::Open, kind) && is_taken(DiskOperation::Read, kind),
                "{kind:?}"
            );
            assert!(
                !is_taken(DiskOperation::SyncData, kind) && !is_taken(DiskOperation::Write, kind),
                "{kind:?}"
            );
        }
        for kind in [DiskErrorKind::PowerLost, DiskErrorKind::TooManyFiles] {
            assert!(
                !is_taken(DiskOperation::Open, kind) && !is_taken(DiskOperation::Read, kind),
                "{kind:?}"
            );
        }
    }
}

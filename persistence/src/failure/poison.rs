//! The flag that stops writes to a store once something written to it may be lost.
//!
//! A failed sync may drop pages that a later sync then reports as durable (E5). A poisoned store
//! therefore refuses writes until it is reopened, because opening reads what the disk really holds.
//! The same holds for a store whose memory violates an invariant: opening builds it again.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lowtide_checkpoint::internal::Violation;

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind};

/// Whether a store still takes writes, and the path that made it stop.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<PathBuf>);

impl Poison {
    /// Stops all writes. Only the first path is kept.
    pub(crate) fn set(&self, path: &Path) {
        // A second failure adds no information.
        let _ = self.0.set(path.to_path_buf());
    }

    /// Stops all writes if `error` may mean lost bytes. An operation that got no file handle did
    /// nothing.
    pub(crate) fn set_after(&self, error: &DiskError, path: &Path) {
        if error.kind != DiskErrorKind::TooManyFiles {
            self.set(path);
        }
    }

    /// Stops all writes because an invariant does not hold. Returns the error to report.
    pub(crate) fn set_after_violation(&self, violation: Violation, path: &Path) -> EngineError {
        self.set(path);
        EngineError::Internal {
            path: path.to_path_buf(),
            invariant: violation.invariant,
            what: violation.what,
        }
    }

    /// Checks that the store takes writes.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] once it was set.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match self.0.get() {
            Some(path) => Err(EngineError::Poisoned { path: path.clone() }),
            None => Ok(()),
        }
    }
}

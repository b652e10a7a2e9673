//! A vBucket whose file can't be read: what is wrong with it, said again at every operation (E11).

use std::path::PathBuf;

use crate::EngineError;

/// What is wrong with a vBucket's file. It does not change while the store is open.
#[derive(Clone, Debug)]
pub(super) enum Unreadable {
    /// Bytes that are not what was written.
    Corrupt { path: PathBuf, offset: u64, what: String },
    /// Sound, but not for us.
    Unsupported { path: PathBuf, what: String },
}

impl Unreadable {
    /// Takes what is wrong with the file itself.
    ///
    /// # Errors
    /// Anything else, such as a disk that failed: trying again may help.
    pub(super) fn new(error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { path, offset, what } => Ok(Self::Corrupt { path, offset, what }),
            EngineError::Unsupported { path, what } => Ok(Self::Unsupported { path, what }),
            other => Err(other),
        }
    }

    pub(super) fn error(&self) -> EngineError {
        match self.clone() {
            Self::Corrupt { path, offset, what } => EngineError::Corrupt { path, offset, what },
            Self::Unsupported { path, what } => EngineError::Unsupported { path, what },
        }
    }
}

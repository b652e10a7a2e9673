//! A file to read from: its handle, its name for messages, its checksum, and its cipher if it is encrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::EngineError;
use crate::disk::DiskFile;

use super::checksum::Checksum;
use super::cipher::Cipher;

/// Where chunks are read from. Cloning shares the handle.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: Arc<Path>,
    pub(super) checksum: Checksum,
    /// Set where chunks are encrypted: they have no checksum then.
    pub(super) cipher: Option<Arc<Cipher>>,
}

impl Source {
    pub(super) fn new(file: Arc<dyn DiskFile>, path: &Path, checksum: Checksum) -> Self {
        Self { file, path: Arc::from(path), checksum, cipher: None }
    }

    pub(super) fn path_buf(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Says that the bytes at `offset` are not what was written.
    pub(super) fn corrupt(&self, offset: u64, what: impl Into<String>) -> EngineError {
        EngineError::Corrupt { path: self.path_buf(), offset, what: what.into() }
    }

    /// Says that the file needs something this build has not.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> EngineError {
        EngineError::Unsupported { path: self.path_buf(), what: what.into() }
    }

    /// Up to `len` raw bytes at `offset`, type bytes included; fewer only where the file ends.
    pub(super) fn read_raw(&self, offset: u64, len: u64) -> Result<Vec<u8>, EngineError> {
        let len = usize::try_from(len).map_err(|_| self.corrupt(offset, "a length no memory can hold"))?;
        let mut raw = vec![0; len];
        let read = self.file.read_at(&mut raw, offset)?;
        raw.truncate(read);
        Ok(raw)
    }
}

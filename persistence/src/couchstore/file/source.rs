//! A file to read from: its handle, its path for messages, its checksum, and its cipher if it is
//! encrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::internal::Violation;

use crate::contract::EngineError;
use crate::couchstore::format::Checksum;
use crate::disk::DiskFile;

use super::cipher::Cipher;
use super::node_cache::FileNodes;

/// An open file that chunks are read from. A clone shares the handle.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: Arc<Path>,
    pub(crate) checksum: Checksum,
    /// The cipher of an encrypted file, whose chunks have no checksum.
    pub(crate) cipher: Option<Arc<Cipher>>,
    /// The file's part of the node cache, while a store has the file open.
    pub(crate) nodes: Option<Arc<FileNodes>>,
}

impl Source {
    /// Makes a source without cipher and cache.
    pub(crate) fn new(file: Arc<dyn DiskFile>, path: &Path, checksum: Checksum) -> Self {
        Self {
            file,
            path: Arc::from(path),
            checksum,
            cipher: None,
            nodes: None,
        }
    }

    /// Returns the path, owned.
    pub(crate) fn path_buf(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Makes the error for bytes at `offset` that differ from those that were written.
    pub(crate) fn corrupt(&self, offset: u64, what: impl Into<String>) -> EngineError {
        EngineError::Corrupt {
            path: self.path_buf(),
            offset,
            what: what.into(),
        }
    }

    /// Makes the error for a sound file that this build does not support.
    pub(crate) fn unsupported(&self, what: impl Into<String>) -> EngineError {
        EngineError::Unsupported {
            path: self.path_buf(),
            what: what.into(),
        }
    }

    /// Makes the error for an invariant that does not hold. The store's owner of the file poisons
    /// the store (`StoreContext::poison_after`).
    pub(crate) fn internal(&self, violation: Violation) -> EngineError {
        EngineError::Internal {
            path: self.path_buf(),
            invariant: violation.invariant,
            what: violation.what,
        }
    }

    /// Returns the same file without its cache, so that damage on the disk is noticed.
    pub(crate) fn uncached(&self) -> Self {
        Self {
            nodes: None,
            ..self.clone()
        }
    }

    /// Reads up to `len` raw bytes at `offset`, type bytes included. Returns fewer only at the end
    /// of the file.
    pub(crate) fn read_raw(&self, offset: u64, len: u64) -> Result<Vec<u8>, EngineError> {
        let len = usize::try_from(len)
            .map_err(|_| self.corrupt(offset, "length exceeds the address space"))?;
        let mut raw = vec![0; len];
        let read = self.file.read_at(&mut raw, offset)?;
        raw.truncate(read);
        Ok(raw)
    }
}

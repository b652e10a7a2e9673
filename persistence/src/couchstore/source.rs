//! A file to read from: its handle, its name for messages, its checksum, and its cipher if it is encrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::format::{Checksum, Node, NodeKind};
use crate::disk::DiskFile;

use super::chunk::{self, ChunkReader};
use super::cipher::Cipher;
use super::node_cache::FileNodes;
use super::window::Window;

/// Where chunks are read from. Cloning shares the handle.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: Arc<Path>,
    pub(super) checksum: Checksum,
    /// Set where chunks are encrypted: they have no checksum then.
    pub(super) cipher: Option<Arc<Cipher>>,
    /// Nodes of this file that are in memory; set while a store has the file open.
    pub(super) nodes: Option<Arc<FileNodes>>,
}

/// Which nodes a reader leaves in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It will replace what it reads.
    Nothing,
    /// It comes by each leaf once.
    Interior,
    /// It may come again.
    All,
}

impl Source {
    pub(super) fn new(file: Arc<dyn DiskFile>, path: &Path, checksum: Checksum) -> Self {
        Self {
            file,
            path: Arc::from(path),
            checksum,
            cipher: None,
            nodes: None,
        }
    }

    pub(super) fn path_buf(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Says that the bytes at `offset` are not what was written.
    pub(super) fn corrupt(&self, offset: u64, what: impl Into<String>) -> EngineError {
        EngineError::Corrupt {
            path: self.path_buf(),
            offset,
            what: what.into(),
        }
    }

    /// Says that the file needs something this build has not.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> EngineError {
        EngineError::Unsupported {
            path: self.path_buf(),
            what: what.into(),
        }
    }

    /// The same file, read past the cache: what is damaged on the disk is noticed.
    pub(super) fn uncached(&self) -> Self {
        Self {
            nodes: None,
            ..self.clone()
        }
    }

    /// The node at `position`, which ends at or before `bound`, the end of durable data.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub(super) fn node(
        &self,
        position: u64,
        bound: u64,
        leave: Leave,
    ) -> Result<Arc<Node>, EngineError> {
        self.node_through(
            &mut ChunkReader::new(Window::exact(self)),
            position,
            bound,
            leave,
        )
    }

    /// As [`Source::node`], through a reader of this file.
    ///
    /// # Errors
    /// As there.
    pub(super) fn node_through(
        &self,
        reader: &mut ChunkReader<'_>,
        position: u64,
        bound: u64,
        leave: Leave,
    ) -> Result<Arc<Node>, EngineError> {
        let nodes = self.nodes.as_ref().filter(|_| position < bound);
        if let Some(node) = nodes.and_then(|nodes| nodes.get(position)) {
            return Ok(node);
        }
        let body = reader.read(position, chunk::NODE_HINT, bound)?;
        let node = Node::decode(body).map_err(|what| self.corrupt(position, what))?;
        let left = match leave {
            Leave::Nothing => false,
            Leave::Interior => node.kind == NodeKind::Interior,
            Leave::All => true,
        };
        let Some(nodes) = nodes.filter(|_| left) else {
            return Ok(Arc::new(node));
        };
        let node = Arc::new(node.indexed());
        nodes.insert(position, &node);
        Ok(node)
    }

    /// Up to `len` raw bytes at `offset`, type bytes included; fewer only where the file ends.
    pub(super) fn read_raw(&self, offset: u64, len: u64) -> Result<Vec<u8>, EngineError> {
        let len = usize::try_from(len)
            .map_err(|_| self.corrupt(offset, "a length no memory can hold"))?;
        let mut raw = vec![0; len];
        let read = self.file.read_at(&mut raw, offset)?;
        raw.truncate(read);
        Ok(raw)
    }
}

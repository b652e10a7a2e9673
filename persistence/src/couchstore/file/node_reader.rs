//! Reading nodes through the cache.
//!
//! Every reader of a tree comes by here, so that one place decides which nodes stay in memory
//! (E22).

use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::format::{Node, NodeKind};

use super::chunk::{self, ChunkReader};
use super::read_ahead::ReadAhead;
use super::source::Source;

/// Which nodes a read leaves in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheHint {
    /// None: the reader replaces what it reads.
    None,
    /// Interior nodes: the reader visits each leaf once.
    InteriorOnly,
    /// All: the reader may return to any node.
    All,
}

impl CacheHint {
    const fn keeps(self, kind: NodeKind) -> bool {
        match self {
            Self::None => false,
            Self::InteriorOnly => matches!(kind, NodeKind::Interior),
            Self::All => true,
        }
    }
}

impl Source {
    /// Reads the node at `position`, which ends at or before `bound`, the end of durable data.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub(crate) fn node(
        &self,
        position: u64,
        bound: u64,
        hint: CacheHint,
    ) -> Result<Arc<Node>, EngineError> {
        let mut reader = ChunkReader::new(ReadAhead::exact(self));
        self.node_through(&mut reader, position, bound, hint)
    }

    /// Same as [`Source::node`], through a reader of this file.
    ///
    /// # Errors
    /// Same as [`Source::node`].
    pub(crate) fn node_through(
        &self,
        reader: &mut ChunkReader<'_>,
        position: u64,
        bound: u64,
        hint: CacheHint,
    ) -> Result<Arc<Node>, EngineError> {
        let nodes = self.nodes.as_ref().filter(|_| position < bound);
        if let Some(node) = nodes.and_then(|nodes| nodes.get(position)) {
            return Ok(node);
        }
        let body = reader.read(position, chunk::NODE_HINT, bound)?;
        let node = Node::decode(body).map_err(|what| self.corrupt(position, what))?;
        let Some(nodes) = nodes.filter(|_| hint.keeps(node.kind)) else {
            return Ok(Arc::new(node));
        };
        let node = Arc::new(node.indexed());
        nodes.insert(position, &node);
        Ok(node)
    }
}

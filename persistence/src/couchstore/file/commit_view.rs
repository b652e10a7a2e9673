//! One acknowledged commit of one file: the header and its position.
//!
//! A view never changes. The bytes that its roots reach are never overwritten, so reads of it run
//! concurrently with later commits. This file holds the data of a view; the `read` wing adds the
//! lookups.

use std::sync::Arc;

use crate::contract::{EngineError, VBucketInfo};
use crate::couchstore::format::{Header, Node, Pointer, Reduction, Tree};

use super::node_reader::CacheHint;
use super::source::Source;

/// A commit to read from.
#[derive(Clone, Debug)]
pub(crate) struct CommitView {
    pub(crate) source: Source,
    pub(crate) header: Header,
    /// Position of the header.
    pub(crate) position: u64,
    /// End of the header: the next commit's data begin here.
    pub(crate) end: u64,
}

impl CommitView {
    /// Reads a node of one of its trees.
    pub(crate) fn node(&self, position: u64, hint: CacheHint) -> Result<Arc<Node>, EngineError> {
        self.source.node(position, self.position, hint)
    }

    /// Returns the same commit, read without the cache.
    pub(crate) fn uncached(&self) -> Self {
        Self {
            source: self.source.uncached(),
            ..self.clone()
        }
    }

    /// Follows an interior entry of the node at `parent`. A node lies behind those below it.
    pub(crate) fn child(
        &self,
        tree: Tree,
        parent: u64,
        value: &[u8],
    ) -> Result<Pointer, EngineError> {
        Pointer::decode_entry(tree, value)
            .filter(|child| child.position < parent)
            .ok_or_else(|| {
                self.source
                    .corrupt(parent, format!("bad pointer in the {}", tree.name()))
            })
    }

    pub(crate) fn info(&self) -> VBucketInfo {
        let (items, deleted) = match self.header.by_id.map(|root| root.reduction) {
            Some(Reduction::Documents { live, deleted, .. }) => (live, deleted),
            _ => (0, 0),
        };
        let Header {
            update_seq,
            purge_seq,
            ..
        } = self.header;
        VBucketInfo {
            high: update_seq.into(),
            purge: purge_seq.into(),
            items,
            deleted,
        }
    }

    /// Returns the number of rows in each index.
    pub(crate) fn row_count(&self) -> u64 {
        self.header.by_seqno.map_or(0, |root| root.reduction.rows())
    }

    /// Returns the bytes of the file that this commit reaches.
    pub(crate) fn live_bytes(&self) -> u64 {
        let header = &self.header;
        let bodies = match header.by_id.map(|root| root.reduction) {
            Some(Reduction::Documents { body_bytes, .. }) => body_bytes,
            _ => 0,
        };
        let trees = [header.by_seqno, header.by_id, header.local];
        trees
            .into_iter()
            .flatten()
            .fold(bodies, |sum, root| sum.saturating_add(root.subtree_bytes))
    }

    /// Returns the size of the file up to this commit.
    pub(crate) const fn file_bytes(&self) -> u64 {
        self.end
    }

    pub(crate) fn corrupt_row(&self, tree: Tree) -> EngineError {
        let position = self
            .header
            .root(tree)
            .map_or(self.position, |root| root.position);
        self.source.corrupt(
            position,
            format!("a row in the {} is too short", tree.name()),
        )
    }
}

//! One acknowledged commit of one file: the header, where it is, and everything that can be read through it.
//!
//! A view never changes. What its roots reach is never overwritten, so that reads of it go on beside any later commit.

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
    /// Where the header is.
    pub(crate) position: u64,
    /// Where it ends: the next commit's data begin here.
    pub(crate) end: u64,
}

impl CommitView {
    /// Reads a node on the way down from a pointer.
    pub(crate) fn node(&self, position: u64, leave: CacheHint) -> Result<Arc<Node>, EngineError> {
        self.source.node(position, self.position, leave)
    }

    /// The same commit, read past the cache.
    pub(crate) fn uncached(&self) -> Self {
        Self {
            source: self.source.uncached(),
            ..self.clone()
        }
    }

    /// Follows an interior entry of the node at `parent`. Nodes are written after those below them.
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

    /// Returns how many rows each index has.
    pub(crate) fn row_count(&self) -> u64 {
        match self.header.by_seqno.map(|root| root.reduction) {
            Some(Reduction::Rows(rows)) => rows,
            _ => 0,
        }
    }

    /// What of the file is reachable from this commit.
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

    /// What the file takes up to here.
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

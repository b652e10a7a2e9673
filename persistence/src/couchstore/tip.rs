//! One acknowledged commit of one file: the header, where it is, and everything that can be read through it.
//!
//! A tip never changes. What its roots reach is never overwritten, so that reads of it go on beside any later commit.

use std::sync::Arc;

use bytes::Bytes;

use crate::contract::{EngineError, VBucketInfo};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, Header, Node, Pointer, Reduction, Tree, by_id, by_seqno};
use crate::couchstore::read::Bodies;

use super::source::{Leave, Source};
use super::{btree_read, chunk};

/// A commit to read from.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) source: Source,
    pub(super) header: Header,
    /// Where the header is.
    pub(super) position: u64,
    /// Where it ends: the next commit's data begin here.
    pub(super) end: u64,
}

impl Tip {
    /// Reads a node on the way down from a pointer.
    pub(super) fn node(&self, position: u64, leave: Leave) -> Result<Arc<Node>, EngineError> {
        self.source.node(position, self.position, leave)
    }

    /// The same commit, read past the cache.
    pub(super) fn uncached(&self) -> Self {
        Self {
            source: self.source.uncached(),
            ..self.clone()
        }
    }

    /// Follows an interior entry of the node at `parent`. Nodes are written after those below them.
    pub(super) fn child(
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

    /// The row of a stored key.
    pub(super) fn doc_info(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        let Some(value) = btree_read::lookup(self, Tree::ById, id)? else {
            return Ok(None);
        };
        let info = by_id::decode(id, &value);
        info.map(Some).ok_or_else(|| self.corrupt_row(Tree::ById))
    }

    /// The rows from a seqno on.
    pub(super) fn rows(&self, from: lowtide_checkpoint::Seqno) -> Result<Rows<'_>, EngineError> {
        Ok(Rows {
            tip: self,
            walk: btree_read::Walk::from(self, Tree::BySeqno, &by_seqno::first_key(from))?,
        })
    }

    /// A body as it is stored, its checksum verified; `None` where there is none.
    pub(super) fn stored_body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        if info.body_position == 0 {
            return Ok(None);
        }
        let hint = info.physical_bytes.saturating_sub(HEAD_BYTES);
        chunk::read(&self.source, info.body_position, hint, self.position).map(Some)
    }

    /// A body, decompressed where the store compressed it; `None` where there is none.
    pub(super) fn body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        Bodies::exact(self).body(&info.row())
    }

    /// The value of a local document.
    pub(super) fn local(&self, name: &[u8]) -> Result<Option<Bytes>, EngineError> {
        btree_read::lookup(self, Tree::Local, name)
    }

    /// All local documents, by name.
    pub(super) fn locals(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let walk = btree_read::Walk::from(self, Tree::Local, b"")?;
        walk.map(|entry| entry.map(|entry| (entry.key, entry.value)))
            .collect()
    }

    pub(super) fn info(&self) -> VBucketInfo {
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

    /// What of the file is reachable from this commit.
    pub(super) fn live_bytes(&self) -> u64 {
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
    pub(super) const fn file_bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn corrupt_row(&self, tree: Tree) -> EngineError {
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

/// Rows in seqno order.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    tip: &'a Tip,
    walk: btree_read::Walk<'a>,
}

impl Iterator for Rows<'_> {
    type Item = Result<DocInfo, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.walk.next()?.and_then(|entry| {
            by_seqno::decode(&entry.key, &entry.value)
                .ok_or_else(|| self.tip.corrupt_row(Tree::BySeqno))
        }))
    }
}

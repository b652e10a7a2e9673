//! A walk over the entries of a tree, from one key on.
//!
//! A walk over a damaged tree ends with an error: a child lies before its parent in the file, no
//! tree is deeper than [`DEPTH_MAX`], and the keys of a walk ascend.

use std::sync::Arc;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CacheHint, ChunkReader, CommitView, ReadAhead};
use crate::couchstore::format::{Entry, Node, NodeKind, Pointer, Tree};

use super::depth::{DEPTH_MAX, too_deep};

/// An iterator over the entries of a tree, one by one or a leaf at a time. It ends after an error.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    view: &'a CommitView,
    tree: Tree,
    reader: ChunkReader<'a>,
    /// Interior nodes from the root down, each at its next entry.
    path: Vec<NodeCursor>,
    /// The leaf below them, at its next entry.
    leaf: Option<NodeCursor>,
    /// Last key of the previous leaf.
    last: Option<Bytes>,
    /// The leaf whose entries [`Iterator::next`] returns.
    now: Option<NodeCursor>,
}

/// A node and the offset of the next entry in it.
#[derive(Clone, Debug)]
pub(crate) struct NodeCursor {
    pub(crate) node: Arc<Node>,
    position: u64,
    at: usize,
}

impl NodeCursor {
    /// Returns the next entry.
    pub(crate) fn advance(&mut self) -> Option<(&[u8], &[u8])> {
        let (key, value, next) = self.node.entry_at(self.at)?;
        self.at = next;
        Some((key, value))
    }

    fn advance_shared(&mut self) -> Option<Entry> {
        let (key, value, next) = self.node.entry_at(self.at)?;
        self.at = next;
        Some(Entry {
            key: self.node.share(key),
            value: self.node.share(value),
        })
    }
}

impl<'a> Walk<'a> {
    /// Begins a walk at the first key at or after `from`.
    pub(crate) fn from(view: &'a CommitView, tree: Tree, from: &[u8]) -> Result<Self, EngineError> {
        let reader = ChunkReader::new(ReadAhead::ahead(&view.source, 0));
        let mut walk = Self {
            view,
            tree,
            reader,
            path: Vec::new(),
            leaf: None,
            last: None,
            now: None,
        };
        if let Some(root) = view.header.root(tree) {
            walk.descend(root, from)?;
        }
        Ok(walk)
    }

    /// Returns the next leaf, or the rest of the one that was begun.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub(crate) fn next_leaf(&mut self) -> Result<Option<NodeCursor>, EngineError> {
        let leaf = self.ready_leaf();
        if leaf.is_err() {
            self.path.clear();
        }
        leaf
    }

    /// Descends to the leaf of `from` and skips everything before it.
    fn descend(&mut self, mut pointer: Pointer, from: &[u8]) -> Result<(), EngineError> {
        loop {
            if self.path.len() >= DEPTH_MAX {
                return Err(too_deep(self.view, self.tree));
            }
            let CommitView {
                source,
                position: bound,
                ..
            } = self.view;
            let position = pointer.position;
            let node =
                source.node_through(&mut self.reader, position, *bound, CacheHint::InteriorOnly)?;
            let at = if from.is_empty() {
                Node::FIRST
            } else {
                node.start_of(from)
            };
            let mut level = NodeCursor { node, position, at };
            if level.node.kind == NodeKind::Leaf {
                self.leaf = Some(level);
                return Ok(());
            }
            let tree = self.tree;
            let child = level
                .advance()
                .map(|(_, value)| self.view.child(tree, position, value))
                .transpose()?;
            self.path.push(level);
            match child {
                Some(child) => pointer = child,
                None => return Ok(()),
            }
        }
    }

    fn ready_leaf(&mut self) -> Result<Option<NodeCursor>, EngineError> {
        loop {
            if let Some(leaf) = self.leaf.take()
                && let Some((first, ..)) = leaf.node.entry_at(leaf.at)
            {
                if self.last.as_ref().is_some_and(|last| &last[..] >= first) {
                    let what = format!("keys of the {} don't ascend", self.tree.name());
                    return Err(self.view.source.corrupt(leaf.position, what));
                }
                self.last = leaf.node.last_key().map(|last| leaf.node.share(last));
                return Ok(Some(leaf));
            }
            let Some(level) = self.path.last_mut() else {
                return Ok(None);
            };
            let position = level.position;
            match level.advance() {
                Some((_, value)) => {
                    let child = self.view.child(self.tree, position, value)?;
                    self.descend(child, b"")?;
                }
                None => drop(self.path.pop()),
            }
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(now) = &mut self.now
                && let Some(entry) = now.advance_shared()
            {
                return Some(Ok(entry));
            }
            match self.next_leaf() {
                Ok(leaf) => self.now = Some(leaf?),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

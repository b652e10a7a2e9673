//! Reading trees: one key, or all keys from one on.
//!
//! Damaged trees give errors, never endless walks: a child lies before its parent in the file, no tree is deeper than
//! [`DEPTH_MAX`], and a walk's keys ascend.

use std::sync::Arc;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::format::{Entry, Node, NodeKind, Pointer, Tree};

use super::chunk::ChunkReader;
use super::source::Leave;
use super::tip::Tip;
use super::window::Window;

/// Interior nodes have two children but for rare chains; 48 levels would hold every seqno there is.
pub(super) const DEPTH_MAX: usize = 64;

/// The value of `key` in one of the trees.
pub(super) fn lookup(tip: &Tip, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
    let Some(mut pointer) = tip.header.root(tree) else {
        return Ok(None);
    };
    for _ in 0..DEPTH_MAX {
        let node = tip.node(pointer.position, Leave::All)?;
        let Some((last, value)) = node.at_or_after(key) else {
            return Ok(None);
        };
        match node.kind {
            NodeKind::Leaf => return Ok((last == key).then(|| node.share(value))),
            NodeKind::Interior => pointer = tip.child(tree, pointer.position, value)?,
        }
    }
    Err(too_deep(tip, tree))
}

pub(super) fn too_deep(tip: &Tip, tree: Tree) -> EngineError {
    tip.source
        .corrupt(tip.position, format!("the {} is too deep", tree.name()))
}

/// All entries of a tree from one key on, in order, one by one or a leaf at a time. Ends after an error.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    tip: &'a Tip,
    tree: Tree,
    reader: ChunkReader<'a>,
    /// Interior nodes from the root down, each with what of it is left.
    path: Vec<Level>,
    /// What is left of the leaf below them.
    leaf: Option<Level>,
    /// The last key of the leaf before.
    last: Option<Bytes>,
    /// The leaf whose entries are given one by one.
    now: Option<Level>,
}

/// A node, and where in it the next entry begins.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) node: Arc<Node>,
    position: u64,
    at: usize,
}

impl Level {
    /// The next entry.
    pub(super) fn advance(&mut self) -> Option<(&[u8], &[u8])> {
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
    /// A walk that begins at the first key at or after `from`.
    pub(super) fn from(tip: &'a Tip, tree: Tree, from: &[u8]) -> Result<Self, EngineError> {
        let reader = ChunkReader::new(Window::ahead(&tip.source, 0));
        let mut walk = Self {
            tip,
            tree,
            reader,
            path: Vec::new(),
            leaf: None,
            last: None,
            now: None,
        };
        if let Some(root) = tip.header.root(tree) {
            walk.descend(root, from)?;
        }
        Ok(walk)
    }

    /// The next leaf, or what is left of the one that was begun.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub(super) fn next_leaf(&mut self) -> Result<Option<Level>, EngineError> {
        let leaf = self.ready_leaf();
        if leaf.is_err() {
            self.path.clear();
        }
        leaf
    }

    /// Goes down to the leaf where `from` would be, leaving out what lies before.
    fn descend(&mut self, mut pointer: Pointer, from: &[u8]) -> Result<(), EngineError> {
        loop {
            if self.path.len() >= DEPTH_MAX {
                return Err(too_deep(self.tip, self.tree));
            }
            let Tip {
                source,
                position: bound,
                ..
            } = self.tip;
            let position = pointer.position;
            let node = source.node_through(&mut self.reader, position, *bound, Leave::Interior)?;
            let at = if from.is_empty() {
                Node::FIRST
            } else {
                node.start_of(from)
            };
            let mut level = Level { node, position, at };
            if level.node.kind == NodeKind::Leaf {
                self.leaf = Some(level);
                return Ok(());
            }
            let tree = self.tree;
            let child = level
                .advance()
                .map(|(_, value)| self.tip.child(tree, position, value))
                .transpose()?;
            self.path.push(level);
            match child {
                Some(child) => pointer = child,
                None => return Ok(()),
            }
        }
    }

    fn ready_leaf(&mut self) -> Result<Option<Level>, EngineError> {
        loop {
            if let Some(leaf) = self.leaf.take()
                && let Some((first, ..)) = leaf.node.entry_at(leaf.at)
            {
                if self.last.as_ref().is_some_and(|last| &last[..] >= first) {
                    let what = format!("keys of the {} don't ascend", self.tree.name());
                    return Err(self.tip.source.corrupt(leaf.position, what));
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
                    let child = self.tip.child(self.tree, position, value)?;
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

/// What a node looks like, wherever in the file it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// 0 at the root.
    pub depth: usize,
    /// Whether its values are rows.
    pub leaf: bool,
    /// How many entries it has.
    pub entries: usize,
    /// Its size before compression, in bytes.
    pub raw_bytes: usize,
    /// Its first key.
    pub first_key: Bytes,
    /// Its last key.
    pub last_key: Bytes,
}

/// The nodes of a tree, each before those below it, left to right.
pub(super) fn shape(tip: &Tip, tree: Tree) -> Result<Vec<NodeShape>, EngineError> {
    let mut shapes = Vec::new();
    let mut todo: Vec<(usize, Pointer, Option<Bytes>)> = Vec::new();
    todo.extend(tip.header.root(tree).map(|root| (0, root, None)));
    while let Some((depth, pointer, last_key)) = todo.pop() {
        if depth >= DEPTH_MAX {
            return Err(too_deep(tip, tree));
        }
        let node = tip.node(pointer.position, Leave::Interior)?;
        let entries: Vec<Entry> = node.shared_entries().collect();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            continue;
        };
        // Without this a damaged tree could lead to the same nodes again and again.
        if last_key.is_some_and(|key| key != last.key) {
            let what = format!(
                "an interior key of the {} is not the last one below it",
                tree.name()
            );
            return Err(tip.source.corrupt(pointer.position, what));
        }
        shapes.push(NodeShape {
            depth,
            leaf: node.kind == NodeKind::Leaf,
            entries: entries.len(),
            raw_bytes: node.len(),
            first_key: first.key.clone(),
            last_key: last.key.clone(),
        });
        if node.kind == NodeKind::Interior {
            for entry in entries.into_iter().rev() {
                todo.push((
                    depth + 1,
                    tip.child(tree, pointer.position, &entry.value)?,
                    Some(entry.key),
                ));
            }
        }
    }
    Ok(shapes)
}

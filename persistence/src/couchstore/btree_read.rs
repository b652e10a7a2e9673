//! Reading trees: one key, or all keys from one on.
//!
//! Damaged trees give errors, never endless walks: a child lies before its parent in the file, no tree is deeper than
//! [`DEPTH_MAX`], and a walk's keys ascend.

use bytes::Bytes;

use crate::EngineError;

use super::node::{Entry, Node, NodeKind};
use super::pointer::Pointer;
use super::reduce::Tree;
use super::tip::Tip;

/// Interior nodes have two children but for rare chains; 48 levels would hold every seqno there is.
pub(super) const DEPTH_MAX: usize = 64;

/// The value of `key` in one of the trees.
pub(super) fn lookup(tip: &Tip, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
    let Some(mut pointer) = tip.header.root(tree) else { return Ok(None) };
    for _ in 0..DEPTH_MAX {
        let node = tip.node(pointer.position)?;
        let found = node.entries().find(|&(last, _)| last >= key);
        let Some((last, value)) = found else { return Ok(None) };
        match node.kind {
            NodeKind::Leaf => return Ok((last == key).then(|| node.share(value))),
            NodeKind::Interior => pointer = tip.child(tree, pointer.position, value)?,
        }
    }
    Err(too_deep(tip, tree))
}

pub(super) fn too_deep(tip: &Tip, tree: Tree) -> EngineError {
    tip.source.corrupt(tip.position, format!("the {} is too deep", tree.name()))
}

/// All entries of a tree from one key on, in order. Ends after an error.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    tip: &'a Tip,
    tree: Tree,
    /// From the root down, each with what of it is left.
    path: Vec<Level>,
    last: Option<Bytes>,
}

#[derive(Debug)]
struct Level {
    kind: NodeKind,
    position: u64,
    /// Last first.
    left: Vec<Entry>,
}

impl<'a> Walk<'a> {
    /// A walk that begins at the first key at or after `from`.
    pub(super) fn from(tip: &'a Tip, tree: Tree, from: &[u8]) -> Result<Self, EngineError> {
        let mut walk = Self { tip, tree, path: Vec::new(), last: None };
        if let Some(root) = tip.header.root(tree) {
            walk.descend(root, from)?;
        }
        Ok(walk)
    }

    /// Goes down to the leaf where `from` would be, leaving out what lies before.
    fn descend(&mut self, mut pointer: Pointer, from: &[u8]) -> Result<(), EngineError> {
        loop {
            if self.path.len() >= DEPTH_MAX {
                return Err(too_deep(self.tip, self.tree));
            }
            let node = self.tip.node(pointer.position)?;
            let mut level = Level::new(&node, pointer.position, from);
            let next = match level.kind {
                NodeKind::Leaf => None,
                NodeKind::Interior => level.left.pop(),
            };
            self.path.push(level);
            match next {
                Some(entry) => pointer = self.tip.child(self.tree, pointer.position, &entry.value)?,
                None => return Ok(()),
            }
        }
    }

    fn step(&mut self) -> Result<Option<Entry>, EngineError> {
        while let Some(level) = self.path.last_mut() {
            let Some(entry) = level.left.pop() else {
                self.path.pop();
                continue;
            };
            let (kind, position) = (level.kind, level.position);
            match kind {
                NodeKind::Interior => {
                    let child = self.tip.child(self.tree, position, &entry.value)?;
                    self.descend(child, b"")?;
                }
                NodeKind::Leaf => {
                    if self.last.as_ref().is_some_and(|last| *last >= entry.key) {
                        let what = format!("keys of the {} don't ascend", self.tree.name());
                        return Err(self.tip.source.corrupt(position, what));
                    }
                    self.last = Some(entry.key.clone());
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }
}

impl Level {
    fn new(node: &Node, position: u64, from: &[u8]) -> Self {
        let mut left: Vec<Entry> = node.shared_entries().skip_while(|entry| entry.key < from).collect();
        left.reverse();
        Self { kind: node.kind, position, left }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.path.clear();
        }
        step.transpose()
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
        let node = tip.node(pointer.position)?;
        let entries: Vec<Entry> = node.shared_entries().collect();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { continue };
        // Without this a damaged tree could lead to the same nodes again and again.
        if last_key.is_some_and(|key| key != last.key) {
            let what = format!("an interior key of the {} is not the last one below it", tree.name());
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
                todo.push((depth + 1, tip.child(tree, pointer.position, &entry.value)?, Some(entry.key)));
            }
        }
    }
    Ok(shapes)
}

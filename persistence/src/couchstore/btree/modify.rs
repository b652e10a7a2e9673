//! Changing a tree: sorted actions are applied, and a new root is returned.
//!
//! Changed nodes are written again with everything above them. Their entries are copied once, from
//! the bytes of the old node to those of the new one. Entries are cut into nodes exactly as the
//! vendor's library does, so that files of both have trees of the same shape:
//! `docs/formats/couchstore.md` has the rules.

use std::iter::Peekable;
use std::slice::Iter;

use crate::contract::EngineError;
use crate::couchstore::file::Appender;
use crate::couchstore::format::{Node, NodeKind, Pointer, Tree};

use super::action::Action;
use super::collector::{Collector, EntryRun};
use super::depth::DEPTH_MAX;
use super::node_builder::NodeBuilder;
use super::node_writer::decode_pointer;

/// A callback for every insertion that replaces a value: key and old value.
pub(crate) type OnReplaced<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), EngineError>;

/// Applies `actions`, which are sorted by key with a removal before an insertion, and returns the
/// new root.
pub(crate) fn modify(
    out: &mut Appender,
    tree: Tree,
    root: Option<Pointer>,
    actions: &[Action],
    on_replaced: OnReplaced<'_>,
) -> Result<Option<Pointer>, EngineError> {
    if actions.is_empty() {
        return Ok(root);
    }
    let mut top = Collector::new(out, tree, NodeKind::Interior);
    match root {
        Some(root) => Modification {
            out,
            tree,
            on_replaced,
        }
        .node(root, b"", actions, &mut top, 0)?,
        None => {
            let mut leaf = Collector::new(out, tree, NodeKind::Leaf);
            for action in actions {
                leaf.apply(out, action)?;
            }
            leaf.flush(out, usize::MAX)?;
            top.take_over(out, leaf)?;
        }
    }
    if !top.modified {
        return Ok(root);
    }
    if top.written.is_empty() && top.entries.len() <= 1 {
        return root_of(out, tree, &top.entries);
    }
    top.flush(out, usize::MAX)?;
    while top.written.len() > 1 {
        let mut above = Collector::new(out, tree, NodeKind::Interior);
        above.take_over(out, top)?;
        above.flush(out, usize::MAX)?;
        top = above;
    }
    root_of(out, tree, &top.written)
}

/// Returns the pointer of the only written entry, or `None` if there is none.
fn root_of(
    out: &Appender,
    tree: Tree,
    written: &NodeBuilder,
) -> Result<Option<Pointer>, EngineError> {
    written
        .first()
        .map(|(_, value)| decode_pointer(out, tree, value))
        .transpose()
}

struct Modification<'a> {
    out: &'a mut Appender,
    tree: Tree,
    on_replaced: OnReplaced<'a>,
}

impl Modification<'_> {
    /// Changes one node and its subtree, and adds the result to `parent`. `key` is the node's key
    /// there.
    fn node(
        &mut self,
        pointer: Pointer,
        key: &[u8],
        actions: &[Action],
        parent: &mut Collector,
        depth: usize,
    ) -> Result<(), EngineError> {
        if depth >= DEPTH_MAX {
            let what = format!("the {} is too deep", self.tree.name());
            return Err(self.out.source().corrupt(pointer.position, what));
        }
        let node = self.out.node(pointer.position)?;
        // Otherwise a change could end up in a node that no lookup of its key reaches.
        if depth > 0 && node.last_key() != Some(key) {
            let what = format!(
                "a node of the {} does not end where its parent says",
                self.tree.name()
            );
            return Err(self.out.source().corrupt(pointer.position, what));
        }
        let mut collector = Collector::new(self.out, self.tree, node.kind);
        match node.kind {
            NodeKind::Leaf => self.leaf(&node, actions, &mut collector)?,
            NodeKind::Interior => {
                self.interior(pointer.position, &node, actions, &mut collector, depth)?
            }
        }
        collector.flush(self.out, usize::MAX)?;
        if collector.modified {
            self.out.replaced(pointer.position);
            parent.take_over(self.out, collector)
        } else {
            collector.release(self.out);
            parent.push(self.out, key, &pointer.encode_entry())
        }
    }

    fn leaf(
        &mut self,
        node: &Node,
        actions: &[Action],
        collector: &mut Collector,
    ) -> Result<(), EngineError> {
        let mut actions = actions.iter().peekable();
        let mut kept = EntryRun::from(Node::FIRST);
        let mut at = Node::FIRST;
        while let (Some(action), Some((key, value, next))) = (actions.peek(), node.entry_at(at)) {
            if action.key > key {
                kept.entries += 1;
            } else {
                collector.push_run(self.out, node, kept, at)?;
                if self.merge(key, value, &mut actions, collector)? {
                    collector.push(self.out, key, value)?;
                }
                kept = EntryRun::from(next);
            }
            at = next;
        }
        kept.entries += node.count_from(at);
        collector.push_run(self.out, node, kept, node.len())?;
        actions.try_for_each(|action| collector.apply(self.out, action))
    }

    /// Applies all actions up to an entry's key. Returns whether the entry stays.
    fn merge(
        &mut self,
        key: &[u8],
        value: &[u8],
        actions: &mut Peekable<Iter<'_, Action>>,
        collector: &mut Collector,
    ) -> Result<bool, EngineError> {
        let mut stays = true;
        while let Some(action) = actions.next_if(|action| &action.key[..] <= key) {
            if action.key == key {
                if stays && action.value.is_some() {
                    (self.on_replaced)(key, value)?;
                }
                stays = false;
            }
            collector.apply(self.out, action)?;
        }
        Ok(stays)
    }

    fn interior(
        &mut self,
        position: u64,
        node: &Node,
        mut actions: &[Action],
        collector: &mut Collector,
        depth: usize,
    ) -> Result<(), EngineError> {
        let mut entries = node.entries().peekable();
        while let Some((key, value)) = entries.next() {
            // Keys behind the last one belong below the last child.
            let below = match entries.peek() {
                None => actions.len(),
                Some(_) => actions.partition_point(|action| &action.key[..] <= key),
            };
            if below == 0 {
                collector.push(self.out, key, value)?;
                continue;
            }
            let (now, later) = actions.split_at(below);
            actions = later;
            let child = decode_pointer(self.out, self.tree, value)?;
            if child.position >= position {
                let what = format!("a pointer of the {} leads forward", self.tree.name());
                return Err(self.out.source().corrupt(position, what));
            }
            self.node(child, key, now, collector, depth + 1)?;
        }
        Ok(())
    }
}

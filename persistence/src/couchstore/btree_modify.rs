//! Changing trees: sorted actions go in, a new root comes out; the old tree stays as it was.
//!
//! Nodes that change are written anew with everything above them. Their entries are copied once, from the old node's bytes
//! to those of the new one. How entries are cut into nodes follows the vendor's
//! library exactly, so that files of both have trees of the same shape: `docs/formats/couchstore.md` has the rules.

use std::iter::Peekable;
use std::slice::Iter;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::format::{Entries, Node, NodeKind, Pointer, Tree};

use super::appender::Appender;
use super::btree_read::DEPTH_MAX;
use super::node_draft::Draft;
use super::node_writer::decode_pointer;

/// A changed node longer than this is cut.
pub(super) const THRESHOLD_BYTES: usize = 1279;
/// How much is cut off at once.
pub(super) const CUT_BYTES: usize = THRESHOLD_BYTES * 2 / 3;
/// A node is never cut while it has so few entries.
const UNCUT_ENTRIES: usize = 3;
/// An interior node below this would make the tree higher for nothing.
pub(super) const INTERIOR_ENTRIES_MIN: usize = 2;

/// One change of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) key: Bytes,
    /// The new value, or `None` to remove the key.
    pub(super) value: Option<Bytes>,
}

/// Called with key and old value for every insert that replaces one.
pub(super) type OnReplaced<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), EngineError>;

/// Applies `actions`, sorted by key (removal before insertion of the same), and returns the new root.
pub(super) fn modify(
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

/// Where the only entry of what was written points to; `None` if there is none.
fn root_of(out: &Appender, tree: Tree, written: &Draft) -> Result<Option<Pointer>, EngineError> {
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
    /// Changes one node and what is below; `parent` gets what came of it. `key` is the node's in its parent.
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
        // Otherwise a change could end up where no reader looks for it.
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
            collector.give_back(self.out);
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
        let mut kept = Run::from(Node::FIRST);
        let mut at = Node::FIRST;
        while let (Some(action), Some((key, value, next))) = (actions.peek(), node.entry_at(at)) {
            if action.key > key {
                kept.entries += 1;
            } else {
                collector.push_run(self.out, node, kept, at)?;
                if self.merge(key, value, &mut actions, collector)? {
                    collector.push(self.out, key, value)?;
                }
                kept = Run::from(next);
            }
            at = next;
        }
        kept.entries += node.count_from(at);
        collector.push_run(self.out, node, kept, node.len())?;
        actions.try_for_each(|action| collector.apply(self.out, action))
    }

    /// Applies all actions up to an entry's key; says whether the entry stays.
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
            // Keys beyond the last belong below the last.
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

/// Entries of a node, one after the other, that stay as they are.
struct Run {
    start: usize,
    entries: usize,
}

impl Run {
    const fn from(start: usize) -> Self {
        Self { start, entries: 0 }
    }
}

/// The entries of one node to be, and the nodes they have already become.
struct Collector {
    tree: Tree,
    entries: Draft,
    /// Something differs from the node on disk. Nothing is written before.
    modified: bool,
    /// Entries that point to them.
    written: Draft,
}

impl Collector {
    fn new(out: &mut Appender, tree: Tree, kind: NodeKind) -> Self {
        let (entries, written) = (Draft::new(out, kind), Draft::new(out, NodeKind::Interior));
        Self {
            tree,
            entries,
            modified: false,
            written,
        }
    }

    fn give_back(self, out: &mut Appender) {
        self.entries.give_back(out);
        self.written.give_back(out);
    }

    fn apply(&mut self, out: &mut Appender, action: &Action) -> Result<(), EngineError> {
        self.modified = true;
        match &action.value {
            Some(value) => self.push(out, &action.key, value),
            None => Ok(()),
        }
    }

    /// Points to the nodes that another's entries have become.
    fn take_over(&mut self, out: &mut Appender, below: Self) -> Result<(), EngineError> {
        self.modified = true;
        below
            .written
            .entries()
            .try_for_each(|(key, value)| self.push(out, key, value))?;
        below.give_back(out);
        Ok(())
    }

    fn push(&mut self, out: &mut Appender, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.entries.push(key, value);
        if self.modified
            && self.entries.len() > UNCUT_ENTRIES
            && self.entries.bytes() > THRESHOLD_BYTES
        {
            self.flush(out, CUT_BYTES)?;
        }
        Ok(())
    }

    /// Adds the entries of a run that ends at `end`: all at once where that can't make a cut due.
    fn push_run(
        &mut self,
        out: &mut Appender,
        node: &Node,
        run: Run,
        end: usize,
    ) -> Result<(), EngineError> {
        let bytes = node.run(run.start, end);
        if !self.modified || self.entries.bytes() + bytes.len() <= THRESHOLD_BYTES {
            self.entries.push_run(bytes, run.entries);
            return Ok(());
        }
        Entries::new(bytes).try_for_each(|(key, value)| self.push(out, key, value))
    }

    /// Writes a node of the first entries, `quota` bytes of them or a little more.
    fn flush(&mut self, out: &mut Appender, quota: usize) -> Result<(), EngineError> {
        match self.modified {
            true => self
                .entries
                .write_first(out, self.tree, quota, &mut self.written),
            false => Ok(()),
        }
    }
}

//! Changing trees: sorted actions go in, a new root comes out; the old tree stays as it was.
//!
//! Nodes that change are written anew with everything above them. How entries are cut into nodes follows the vendor's
//! library exactly, so that files of both have trees of the same shape: `docs/formats/couchstore.md` has the rules.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::slice::Iter;

use bytes::Bytes;

use crate::EngineError;

use super::appender::Appender;
use super::btree_read::DEPTH_MAX;
use super::node::{Entry, NodeKind};
use super::node_writer::{self, decode_pointer};
use super::pointer::Pointer;
use super::reduce::Tree;

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
    let mut top = Collector::new(tree, NodeKind::Interior);
    match root {
        Some(root) => {
            Modification { out, tree, on_replaced }.node(root, Bytes::new(), actions, &mut top, 0)?
        }
        None => {
            let mut leaf = Collector::new(tree, NodeKind::Leaf);
            for action in actions {
                leaf.apply(out, action)?;
            }
            leaf.flush(out, usize::MAX)?;
            top.take_over(out, leaf.written)?;
        }
    }
    if !top.modified {
        return Ok(root);
    }
    if top.written.is_empty() && top.entries.len() <= 1 {
        return top.entries.pop_front().map(|entry| decode_pointer(out, tree, &entry)).transpose();
    }
    top.flush(out, usize::MAX)?;
    let mut level = top.written;
    while level.len() > 1 {
        let mut above = Collector::new(tree, NodeKind::Interior);
        above.take_over(out, level)?;
        above.flush(out, usize::MAX)?;
        level = above.written;
    }
    Ok(level.pop().map(|(_, pointer)| pointer))
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
        key: Bytes,
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
        if depth > 0 && node.last_key() != Some(&key[..]) {
            let what = format!("a node of the {} does not end where its parent says", self.tree.name());
            return Err(self.out.source().corrupt(pointer.position, what));
        }
        let mut collector = Collector::new(self.tree, node.kind);
        match node.kind {
            NodeKind::Leaf => self.leaf(node.shared_entries(), actions, &mut collector)?,
            NodeKind::Interior => {
                let entries: Vec<Entry> = node.shared_entries().collect();
                self.interior(pointer.position, entries, actions, &mut collector, depth)?;
            }
        }
        collector.flush(self.out, usize::MAX)?;
        if collector.modified {
            self.out.replaced(pointer.position);
            parent.take_over(self.out, collector.written)
        } else {
            parent.push(self.out, Entry { key, value: Bytes::from(pointer.encode_entry()) })
        }
    }

    fn leaf(
        &mut self,
        entries: impl Iterator<Item = Entry>,
        actions: &[Action],
        collector: &mut Collector,
    ) -> Result<(), EngineError> {
        let mut actions = actions.iter().peekable();
        for entry in entries {
            if self.merge(&entry, &mut actions, collector)? {
                collector.push(self.out, entry)?;
            }
        }
        actions.try_for_each(|action| collector.apply(self.out, action))
    }

    /// Applies all actions up to an entry's key; says whether the entry stays.
    fn merge(
        &mut self,
        entry: &Entry,
        actions: &mut Peekable<Iter<'_, Action>>,
        collector: &mut Collector,
    ) -> Result<bool, EngineError> {
        let mut stays = true;
        while let Some(action) = actions.next_if(|action| action.key <= entry.key) {
            if action.key == entry.key {
                if stays && action.value.is_some() {
                    (self.on_replaced)(&entry.key, &entry.value)?;
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
        entries: Vec<Entry>,
        mut actions: &[Action],
        collector: &mut Collector,
        depth: usize,
    ) -> Result<(), EngineError> {
        let last = entries.len().saturating_sub(1);
        for (index, entry) in entries.into_iter().enumerate() {
            // Keys beyond the last belong below the last.
            let below = match index == last {
                true => actions.len(),
                false => actions.partition_point(|action| action.key <= entry.key),
            };
            if below == 0 {
                collector.push(self.out, entry)?;
                continue;
            }
            let (now, later) = actions.split_at(below);
            actions = later;
            let child = decode_pointer(self.out, self.tree, &entry)?;
            if child.position >= position {
                let what = format!("a pointer of the {} leads forward", self.tree.name());
                return Err(self.out.source().corrupt(position, what));
            }
            self.node(child, entry.key, now, collector, depth + 1)?;
        }
        Ok(())
    }
}

/// The entries of one node to be, and the nodes they have already become.
struct Collector {
    tree: Tree,
    kind: NodeKind,
    entries: VecDeque<Entry>,
    encoded_bytes: usize,
    /// Something differs from the node on disk. Nothing is written before.
    modified: bool,
    written: Vec<(Bytes, Pointer)>,
}

impl Collector {
    const fn new(tree: Tree, kind: NodeKind) -> Self {
        Self { tree, kind, entries: VecDeque::new(), encoded_bytes: 0, modified: false, written: Vec::new() }
    }

    fn apply(&mut self, out: &mut Appender, action: &Action) -> Result<(), EngineError> {
        self.modified = true;
        match &action.value {
            Some(value) => self.push(out, Entry { key: action.key.clone(), value: value.clone() }),
            None => Ok(()),
        }
    }

    fn take_over(&mut self, out: &mut Appender, nodes: Vec<(Bytes, Pointer)>) -> Result<(), EngineError> {
        self.modified = true;
        nodes.into_iter().try_for_each(|(key, pointer)| {
            self.push(out, Entry { key, value: Bytes::from(pointer.encode_entry()) })
        })
    }

    fn push(&mut self, out: &mut Appender, entry: Entry) -> Result<(), EngineError> {
        self.encoded_bytes += entry.encoded_bytes();
        self.entries.push_back(entry);
        if self.modified && self.entries.len() > UNCUT_ENTRIES && self.encoded_bytes > THRESHOLD_BYTES {
            self.flush(out, CUT_BYTES)?;
        }
        Ok(())
    }

    /// Writes a node of the first entries, `quota` bytes of them or a little more.
    fn flush(&mut self, out: &mut Appender, quota: usize) -> Result<(), EngineError> {
        if self.entries.is_empty() || !self.modified {
            return Ok(());
        }
        let (mut taken_bytes, mut taken) = (0, 0);
        for entry in &self.entries {
            taken_bytes += entry.encoded_bytes();
            taken += 1;
            if taken_bytes >= quota && (self.kind == NodeKind::Leaf || taken >= INTERIOR_ENTRIES_MIN) {
                break;
            }
        }
        let node = node_writer::write(out, self.tree, self.kind, self.entries.drain(..taken))?;
        self.encoded_bytes -= taken_bytes;
        self.written.push(node);
        Ok(())
    }
}

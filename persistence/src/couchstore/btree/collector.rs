//! The entries of a node that is changing, and the nodes that were cut off them.

use lowtide_checkpoint::internal::Invariant as _;

use crate::contract::EngineError;
use crate::couchstore::file::Appender;
use crate::couchstore::format::{Entries, Node, NodeKind, Tree};

use super::action::Action;
use super::node_builder::NodeBuilder;
use super::split_policy::{CUT_BYTES, THRESHOLD_BYTES, UNCUT_ENTRIES};

/// Successive entries of a node that stay as they are.
pub(super) struct EntryRun {
    pub(super) start: usize,
    pub(super) entries: usize,
}

impl EntryRun {
    pub(super) const fn from(start: usize) -> Self {
        Self { start, entries: 0 }
    }
}

/// The pending entries of one node, and the nodes that its earlier entries have become.
pub(super) struct Collector {
    pub(super) tree: Tree,
    pub(super) entries: NodeBuilder,
    /// Whether anything differs from the node on disk. Nothing is written before that.
    pub(super) modified: bool,
    /// Entries that point to the written nodes.
    pub(super) written: NodeBuilder,
}

impl Collector {
    pub(super) fn new(out: &mut Appender, tree: Tree, kind: NodeKind) -> Self {
        let (entries, written) = (
            NodeBuilder::new(out, kind),
            NodeBuilder::new(out, NodeKind::Interior),
        );
        Self {
            tree,
            entries,
            modified: false,
            written,
        }
    }

    pub(super) fn release(self, out: &mut Appender) {
        self.entries.release(out);
        self.written.release(out);
    }

    pub(super) fn apply(&mut self, out: &mut Appender, action: &Action) -> Result<(), EngineError> {
        self.modified = true;
        match &action.value {
            Some(value) => self.push(out, &action.key, value),
            None => Ok(()),
        }
    }

    /// Adds pointers to the nodes that another collector has written.
    pub(super) fn take_over(&mut self, out: &mut Appender, below: Self) -> Result<(), EngineError> {
        self.modified = true;
        below
            .written
            .entries()
            .try_for_each(|(key, value)| self.push(out, key, value))?;
        below.release(out);
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        out: &mut Appender,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), EngineError> {
        self.entries.push(key, value);
        if self.modified
            && self.entries.len() > UNCUT_ENTRIES
            && self.entries.bytes() > THRESHOLD_BYTES
        {
            self.flush(out, CUT_BYTES)?;
        }
        Ok(())
    }

    /// Adds the entries of a run that ends at `end`. They are copied at once if they cannot make a
    /// cut due.
    pub(super) fn push_run(
        &mut self,
        out: &mut Appender,
        node: &Node,
        run: EntryRun,
        end: usize,
    ) -> Result<(), EngineError> {
        let bytes = node
            .run(run.start, end)
            .invariant("E34", "kept entries lie inside their node")
            .map_err(|violation| out.source().internal(violation))?;
        if !self.modified || self.entries.bytes() + bytes.len() <= THRESHOLD_BYTES {
            self.entries.push_run(bytes, run.entries);
            return Ok(());
        }
        Entries::new(bytes).try_for_each(|(key, value)| self.push(out, key, value))
    }

    /// Writes a node of the first entries, which take `quota` bytes or a little more.
    pub(super) fn flush(&mut self, out: &mut Appender, quota: usize) -> Result<(), EngineError> {
        if !self.modified {
            return Ok(());
        }
        self.entries
            .write_first(out, self.tree, quota, &mut self.written)
    }
}

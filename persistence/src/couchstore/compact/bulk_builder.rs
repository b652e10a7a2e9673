//! Building a tree from nothing, from entries in the order of their keys.
//!
//! Nodes are cut as the vendor's compaction cuts them, so that files of both have trees of the same
//! shape. As soon as a level's pending entries exceed the cut, all of them become a node (an
//! interior one only if they are at least two). At the end the rest of each level is written,
//! upwards to the level that has a single node.
//!
//! Every level is cut while entries arrive, so memory is one pending node per level, whatever the
//! tree's size. Keys must strictly ascend: anything else is damage in the source, and an error.

use bytes::Bytes;
use lowtide_checkpoint::internal::Invariant as _;

use crate::contract::EngineError;
use crate::couchstore::btree::node_writer;
use crate::couchstore::btree::split_policy::{CUT_BYTES, INTERIOR_ENTRIES_MIN};
use crate::couchstore::file::Appender;
use crate::couchstore::format::{Entry, NodeKind, Pointer, Tree};

/// Cut of the by-id tree. The vendor compacts it with a chunk size in whole KiB, which gives a
/// smaller cut.
const BY_ID_CUT_BYTES: usize = 1024 * 2 / 3;

/// A growing tree.
#[derive(Debug)]
pub(crate) struct BulkBuilder {
    tree: Tree,
    cut_bytes: usize,
    /// The levels, leaves first.
    levels: Vec<Level>,
    last_key: Option<Bytes>,
}

#[derive(Debug, Default)]
struct Level {
    pending: Vec<Entry>,
    pending_bytes: usize,
    /// Nodes written so far.
    nodes: u64,
}

impl BulkBuilder {
    pub(crate) const fn new(tree: Tree) -> Self {
        let cut_bytes = match tree {
            Tree::ById => BY_ID_CUT_BYTES,
            Tree::BySeqno | Tree::Local => CUT_BYTES,
        };
        Self {
            tree,
            cut_bytes,
            levels: Vec::new(),
            last_key: None,
        }
    }

    /// Adds an entry behind all others. Returns `false`, and adds nothing, if its key does not
    /// belong there.
    pub(crate) fn push(
        &mut self,
        out: &mut Appender,
        key: Bytes,
        value: Bytes,
    ) -> Result<bool, EngineError> {
        if self.last_key.as_ref().is_some_and(|last| *last >= key) {
            return Ok(false);
        }
        self.last_key = Some(key.clone());
        self.add(out, 0, Entry { key, value })?;
        Ok(true)
    }

    /// Writes the pending entries. Returns the root, or `None` for a tree without entries.
    pub(crate) fn finish(mut self, out: &mut Appender) -> Result<Option<Pointer>, EngineError> {
        let mut at = 0;
        let mut root = None;
        while let Some(level) = self.levels.get(at) {
            // The only node of the level below is the root. Its pointer is the only pending entry
            // here.
            if let ([entry], 0, 1..) = (level.pending.as_slice(), level.nodes, at) {
                root = Some(node_writer::decode_pointer(out, self.tree, &entry.value)?);
                break;
            }
            self.cut(out, at)?;
            at += 1;
        }
        Ok(root)
    }

    fn add(&mut self, out: &mut Appender, at: usize, entry: Entry) -> Result<(), EngineError> {
        if self.levels.len() <= at {
            self.levels.push(Level::default());
        }
        let level = self.levels.get_mut(at);
        let level = level
            .invariant("E34", "levels grow one by one")
            .map_err(|violation| out.source().internal(violation))?;
        level.pending_bytes += entry.encoded_bytes();
        level.pending.push(entry);
        let entries_min = if at == 0 { 1 } else { INTERIOR_ENTRIES_MIN };
        if level.pending_bytes > self.cut_bytes && level.pending.len() >= entries_min {
            self.cut(out, at)?;
        }
        Ok(())
    }

    /// Makes a node of all pending entries of a level, and adds its pointer to the level above.
    fn cut(&mut self, out: &mut Appender, at: usize) -> Result<(), EngineError> {
        let Some(level) = self
            .levels
            .get_mut(at)
            .filter(|level| !level.pending.is_empty())
        else {
            return Ok(());
        };
        let kind = if at == 0 {
            NodeKind::Leaf
        } else {
            NodeKind::Interior
        };
        let (key, pointer) = node_writer::write(out, self.tree, kind, level.pending.drain(..))?;
        level.pending_bytes = 0;
        level.nodes += 1;
        self.add(
            out,
            at + 1,
            Entry {
                key,
                value: Bytes::from(pointer.encode_entry()),
            },
        )
    }
}

//! A node to be, encoded as its entries come in: keys and values go in, nodes of the first of them come out, written.
//!
//! Always: what is written is a whole node, its entries in the order they came. A pointer's subtree size and reduction are
//! the sums of what the node's entries say.

use crate::contract::EngineError;
use crate::couchstore::file::Appender;
use crate::couchstore::format::node::put_lengths;
use crate::couchstore::format::{Entries, NodeKind, Tree};

use super::node_writer;
use super::split_policy::INTERIOR_ENTRIES_MIN;

/// Entries that are not written yet.
#[derive(Debug)]
pub(crate) struct NodeBuilder {
    kind: NodeKind,
    /// A node's type byte and entries, as they would be before compression.
    raw: Vec<u8>,
    entries: usize,
}

impl NodeBuilder {
    /// One without entries, in memory of the appender's; to be given back by [`NodeBuilder::give_back`].
    pub(crate) fn new(out: &mut Appender, kind: NodeKind) -> Self {
        let mut raw = out.take_scratch();
        raw.push(kind.type_byte());
        Self {
            kind,
            raw,
            entries: 0,
        }
    }

    pub(crate) fn give_back(self, out: &mut Appender) {
        out.give_back(self.raw);
    }

    /// How many entries.
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What they take in a node before compression.
    pub(crate) const fn bytes(&self) -> usize {
        self.raw.len() - 1
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries::of_raw(&self.raw)
    }

    /// The first entry.
    pub(crate) fn first(&self) -> Option<(&[u8], &[u8])> {
        self.entries().next()
    }

    /// Adds an entry whose lengths were checked when it was made.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        put_lengths(&mut self.raw, key.len(), value.len());
        self.raw.extend_from_slice(key);
        self.raw.extend_from_slice(value);
        self.entries += 1;
    }

    /// Adds entries that are encoded.
    pub(crate) fn push_run(&mut self, run: &[u8], entries: usize) {
        self.raw.extend_from_slice(run);
        self.entries += entries;
    }

    /// Writes a node of the first entries, if there are any, `quota` bytes of them or a little more; `written` gets the
    /// entry that points to it.
    ///
    /// # Errors
    /// As [`node_writer::append`].
    pub(crate) fn write_first(
        &mut self,
        out: &mut Appender,
        tree: Tree,
        quota: usize,
        written: &mut Self,
    ) -> Result<(), EngineError> {
        let (mut taken, mut end, mut last_key) = (0, 1, &b""[..]);
        for (key, value) in self.entries() {
            end += Entries::encoded_bytes(key, value);
            taken += 1;
            last_key = key;
            if end > quota && (self.kind == NodeKind::Leaf || taken >= INTERIOR_ENTRIES_MIN) {
                break;
            }
        }
        if taken == 0 {
            return Ok(());
        }
        let node = self.raw.get(..end).unwrap_or(&self.raw);
        let pointer = node_writer::append(out, tree, self.kind, node)?;
        written.push(last_key, &pointer.encode_entry());
        // The type byte stays.
        self.raw.drain(1..end);
        self.entries -= taken;
        Ok(())
    }
}

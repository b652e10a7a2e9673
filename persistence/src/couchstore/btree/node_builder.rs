//! A node that is encoded as its entries arrive, and written in parts.
//!
//! What always holds: a written node has its entries in the order they arrived, and its pointer's
//! subtree size and reduction are the sums over its entries.

use lowtide_checkpoint::internal::Invariant as _;

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
    /// Type byte and entries of a node before compression.
    raw: Vec<u8>,
    entries: usize,
}

impl NodeBuilder {
    /// Makes an empty builder in memory of the appender, which [`NodeBuilder::release`] returns.
    pub(crate) fn new(out: &mut Appender, kind: NodeKind) -> Self {
        let mut raw = out.take_scratch();
        raw.push(kind.type_byte());
        Self {
            kind,
            raw,
            entries: 0,
        }
    }

    pub(crate) fn release(self, out: &mut Appender) {
        out.return_scratch(self.raw);
    }

    /// Returns the number of entries.
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Returns the size of the entries in a node before compression.
    pub(crate) const fn bytes(&self) -> usize {
        self.raw.len() - 1
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries::of_raw(&self.raw)
    }

    /// Returns the first entry.
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

    /// Adds encoded entries.
    pub(crate) fn push_run(&mut self, run: &[u8], entries: usize) {
        self.raw.extend_from_slice(run);
        self.entries += entries;
    }

    /// Writes a node of the first entries, if there are any. They take `quota` bytes or a little
    /// more. The entry that points to the node goes into `written`.
    ///
    /// # Errors
    /// Same as [`node_writer::append`].
    pub(crate) fn write_first(
        &mut self,
        out: &mut Appender,
        tree: Tree,
        quota: usize,
        written: &mut Self,
    ) -> Result<(), EngineError> {
        let (mut taken, mut end, mut last_key) = (0, 1, &b""[..]);
        for (key, value) in self.entries() {
            // A damaged child may have keys below those of the child before it.
            if self.kind == NodeKind::Interior && taken > 0 && last_key >= key {
                let what = format!("keys of the {} don't ascend", tree.name());
                return Err(out.source().corrupt(out.position(), what));
            }
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
        let node = self
            .raw
            .get(..end)
            .invariant("E34", "entries lie inside their node")
            .map_err(|violation| out.source().internal(violation))?;
        let pointer = node_writer::append(out, tree, self.kind, node)?;
        written.push(last_key, &pointer.encode_entry());
        // The type byte stays for the rest.
        self.raw.drain(1..end);
        self.entries -= taken;
        Ok(())
    }
}

//! Appending chunks and headers to a file, with block type bytes where blocks begin.
//!
//! Bytes are collected and written in large pieces. A node appended in this commit can be read back
//! before the commit is durable.
//!
//! Nothing below the starting position of the appender is ever written. If the file's nodes are
//! cached, its owner must have made everything below that position durable (E22).

use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{ChunkHead, Compressor, Node, NodeKind, block};
use crate::numbers::{part_to_usize, to_u64};

use super::node_reader::CacheHint;
use super::source::Source;

/// Collected bytes that are worth a write of their own.
const BUFFER_BYTES: usize = 1 << 20;

/// Greatest end of a chunk: rows and headers point with 47 bits, and a header must fit behind the
/// last chunk.
const CHUNK_END_MAX: u64 = (1 << 47) - 2 * block::BLOCK_BYTES;

/// The growing end of a file.
#[derive(Debug)]
pub(crate) struct Appender {
    source: Source,
    /// Position of the first byte it appended.
    start: u64,
    /// Position of the next byte.
    position: u64,
    /// The last bytes before `position`, not written yet.
    buffer: Vec<u8>,
    /// Bytes written since the appender was made.
    written_bytes: u64,
    compressor: Compressor,
    /// Unused memory for encoding nodes.
    scratch: Vec<Vec<u8>>,
    changed: Changed,
}

/// Changes for the cache, which learns of them once the commit is durable.
#[derive(Debug, Default)]
struct Changed {
    written: Vec<(u64, Arc<Node>)>,
    written_bytes: usize,
    replaced: Vec<u64>,
}

impl Changed {
    /// Keeps a node for the cache. Bytes that no reader accepts as a node are left out, and reading
    /// them fails.
    fn keep(&mut self, position: u64, raw: &[u8]) {
        if let Ok(node) = Node::indexed_copy(raw) {
            self.written_bytes += node.memory_bytes();
            self.written.push((position, Arc::new(node)));
        }
    }
}

impl Appender {
    /// Makes an appender that begins at `position`.
    pub(crate) fn new(source: Source, position: u64) -> Self {
        Self {
            source,
            start: position,
            position,
            buffer: Vec::new(),
            written_bytes: 0,
            compressor: Compressor::default(),
            scratch: Vec::new(),
            changed: Changed::default(),
        }
    }

    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of bytes handed to the disk. They are counted before the write, because a
    /// failed write may leave any of them.
    pub(crate) const fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Returns the number of bytes appended, written or not.
    pub(crate) const fn appended_bytes(&self) -> u64 {
        self.written_bytes + to_u64(self.buffer.len())
    }

    /// Appends a chunk. Returns its position and its size on disk.
    pub(crate) fn chunk(&mut self, body: &[u8]) -> Result<(u64, u64), EngineError> {
        let position = self.position;
        if block::end_of(position, HEAD_BYTES + to_u64(body.len())) > CHUNK_END_MAX {
            return Err(self
                .source
                .unsupported("the file would grow beyond the 128 TiB the format can point to"));
        }
        let head = ChunkHead::encode(body, self.source.checksum);
        block::append(&mut self.buffer, &mut self.position, &head);
        block::append(&mut self.buffer, &mut self.position, body);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok((position, HEAD_BYTES + to_u64(body.len())))
    }

    /// Returns the position of the next header.
    pub(crate) const fn header_position(&self) -> u64 {
        block::next_boundary(self.position)
    }

    /// Appends an encoded header at [`Appender::header_position`], with zeros before it, and writes
    /// everything.
    pub(crate) fn header(&mut self, encoded: &[u8]) -> Result<(), EngineError> {
        let position = self.header_position();
        let gap = part_to_usize(position - self.position);
        self.buffer.resize(self.buffer.len() + gap, 0);
        self.buffer.extend_from_slice(encoded);
        self.position = position + to_u64(encoded.len());
        self.flush()
    }

    /// Reads a node from anywhere below the end.
    pub(crate) fn node(&mut self, position: u64) -> Result<Arc<Node>, EngineError> {
        if position < self.start {
            return self.source.node(position, self.start, CacheHint::None);
        }
        if position >= self.position - to_u64(self.buffer.len()) {
            self.flush()?;
        }
        self.source
            .uncached()
            .node(position, self.position, CacheHint::None)
    }

    /// Takes empty memory for encoding a node. [`Appender::return_scratch`] returns it.
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        self.scratch.pop().unwrap_or_default()
    }

    pub(crate) fn return_scratch(&mut self, mut scratch: Vec<u8>) {
        scratch.clear();
        self.scratch.push(scratch);
    }

    /// Compresses and appends a node. Same result as [`Appender::compressed`].
    pub(crate) fn append_node(
        &mut self,
        kind: NodeKind,
        raw: &[u8],
    ) -> Result<Option<(u64, u64)>, EngineError> {
        let appended = self.compressed(raw)?;
        if let (Some((position, _)), Some(nodes), NodeKind::Interior) =
            (appended, &self.source.nodes, kind)
        {
            // A large commit must not take more memory than the cache. Its leaves would drive out
            // nodes in use, and reading them again when they are overwritten costs less than
            // keeping them.
            if self.changed.written_bytes + raw.len() <= nodes.budget_bytes() {
                self.changed.keep(position, raw);
            }
        }
        Ok(appended)
    }

    /// Compresses and appends a chunk. Returns its position and its size on disk, or `None`, with
    /// nothing appended, if the bytes cannot be compressed.
    pub(crate) fn compressed(&mut self, bytes: &[u8]) -> Result<Option<(u64, u64)>, EngineError> {
        let mut compressor = std::mem::take(&mut self.compressor);
        let appended = compressor
            .compress(bytes)
            .map(|compressed| self.chunk(compressed))
            .transpose();
        self.compressor = compressor;
        appended
    }

    /// Notes that the next commit does not reach a node any more.
    pub(crate) fn replaced(&mut self, position: u64) {
        if self.source.nodes.is_some() {
            self.changed.replaced.push(position);
        }
    }

    /// Puts new nodes into the cache. Everything appended is durable and stays.
    pub(crate) fn publish(&mut self) {
        let Changed {
            written, replaced, ..
        } = std::mem::take(&mut self.changed);
        if let Some(nodes) = &self.source.nodes {
            nodes.publish(written, &replaced);
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Writes the collected bytes.
    pub(crate) fn flush(&mut self) -> Result<(), EngineError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let length = to_u64(self.buffer.len());
        self.written_bytes += length;
        self.source
            .file
            .write_at(&[&self.buffer], self.position - length)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::couchstore::format::Checksum;
    use crate::disk::{Disk, MemoryDisk};

    use super::*;

    #[test]
    fn file_grows_up_to_the_greatest_position() {
        let path = Path::new("/0.couch.1");
        let file = MemoryDisk::new().create(path).expect("new");
        let mut out = Appender::new(
            Source::new(file, path, Checksum::Crc32c),
            CHUNK_END_MAX - 100,
        );
        out.chunk(&[7; 50]).expect("fits");
        let position = out.position();
        for bytes in [35, 50] {
            assert!(matches!(
                out.chunk(&vec![7; bytes]),
                Err(EngineError::Unsupported { .. })
            ));
        }
        assert_eq!((out.position(), out.written_bytes()), (position, 0));
        out.chunk(&[7; 34]).expect("fits exactly");
        assert_eq!(out.position(), CHUNK_END_MAX);
        assert!(out.header_position() < crate::couchstore::format::header::NO_PREVIOUS);
    }
}

//! The garbage of one critical section: memory to free after it, never under the manager's lock.
//!
//! Dropping a large queue takes long. Under the lock, every other thread would wait for it.

use std::sync::Arc;

use crate::queue::{Chunk, KeyIndex, Queue, RetiredChunk};

/// Everything that one critical section took out of a manager.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) retired: Vec<RetiredChunk>,
    pub(crate) indexes: Vec<KeyIndex>,
    pub(crate) tables: Vec<Box<[u64]>>,
    pub(crate) queues: Vec<Queue>,
}

impl Garbage {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
            && self.retired.is_empty()
            && self.indexes.is_empty()
            && self.tables.is_empty()
            && self.queues.is_empty()
    }

    /// Returns the bytes that stay charged until the garbage is freed. Chunks that are still being
    /// read count, although their last holder is another.
    pub(crate) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.bytes()).sum();
        let retired: usize = self.retired.iter().map(RetiredChunk::bytes).sum();
        chunks + retired + self.queues.iter().map(Queue::bytes).sum::<usize>()
    }
}

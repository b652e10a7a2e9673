//! What a critical section took out of a manager, to be freed after it: never under the manager's lock.

use std::sync::Arc;

use crate::index::KeyIndex;
use crate::queue::{Chunk, Queue, Remains};

#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) remains: Vec<Remains>,
    pub(crate) indexes: Vec<KeyIndex>,
    pub(crate) tables: Vec<Box<[u64]>>,
    pub(crate) queues: Vec<Queue>,
}

impl Garbage {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
            && self.remains.is_empty()
            && self.indexes.is_empty()
            && self.tables.is_empty()
            && self.queues.is_empty()
    }

    /// Bytes that are charged until it is freed. Of chunks that somebody still reads it is not the last holder.
    pub(crate) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.bytes()).sum();
        let remains: usize = self.remains.iter().map(Remains::bytes).sum();
        chunks + remains + self.queues.iter().map(Queue::bytes).sum::<usize>()
    }
}

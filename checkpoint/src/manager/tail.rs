//! The tail: lock-free reading for a cursor that has reached the end of the queue.
//!
//! A tail knows the chunk that the next item will enter or follow. It delivers the items queued
//! since, also from the chunks that followed, as a batch of the open checkpoint. Without it, a
//! reader that keeps up would take the manager's lock for every batch.
//!
//! # Invariants
//! A batch is exactly what a read under the lock would have returned at some moment (C25):
//!
//! 1. The manager ends each critical section by storing its epoch, and then the published ends of
//!    its chunks. A reader loads the ends first and the epoch second. Let the epoch be still the one
//!    taken under the lock, and S the critical section that published the last end. Then up to S
//!    nothing happened except queueing items into these chunks and this checkpoint. The batch equals
//!    a read under the lock right after S, whatever happened later.
//! 2. The reader stores its position in its [`Progress`], and the manager syncs with it before it
//!    evicts anything. A manager that has not synced keeps more than necessary, never less. The
//!    batch itself keeps the chunks it reads.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::batch::CursorBatch;
use super::checkpoint::Checkpoint;
use super::cursors::Progress;
use crate::fault::{self, Fault};
use crate::model::{Operation, Seqno};
use crate::queue::{Chunk, NextChunk};

/// Chunks that one read covers at most.
const CHUNKS_MAX: usize = 4;

/// A reader's place at the end of the queue.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(super) chunk: Arc<Chunk>,
    /// The reader has everything below this position.
    pub(super) position: u64,
    /// Epoch of the manager when the tail was created.
    pub(super) epoch: u64,
    /// Open checkpoint at that time, updated with every item read since.
    pub(super) open: Checkpoint,
}

/// The result of reading at the tail.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once a read; a box would cost each read an allocation"
)]
pub(crate) enum TailRead {
    /// New items. The reader's progress already includes them.
    Items(CursorBatch),
    /// No new item.
    Nothing,
    /// A change other than queueing: the reader must look under the lock.
    Changed,
}

impl Tail {
    /// Reads the items queued since the last read. `epoch` loads the manager's epoch with acquire.
    pub(crate) fn try_read(&mut self, epoch: impl Fn() -> u64, progress: &Progress) -> TailRead {
        let from = self.position;
        let epoch_first = fault::is(Fault::EpochLookedAtFirst);
        if epoch_first && epoch() != self.epoch {
            return TailRead::Changed;
        }
        let mut chunks = SmallVec::new();
        while chunks.len() < CHUNKS_MAX {
            let published = self.chunk.published();
            if published > self.position {
                self.position = published;
                chunks.push(Arc::clone(&self.chunk));
            }
            match self.chunk.next_chunk(self.position) {
                NextChunk::NotYet => break,
                NextChunk::Ready(next) => self.chunk = next,
                NextChunk::Gone => return TailRead::Changed,
            }
        }
        if !epoch_first && epoch() != self.epoch {
            return TailRead::Changed;
        }
        let Some(end) = self.record_items(&chunks, from) else {
            return TailRead::Nothing;
        };
        progress.advance_to(self.position);
        TailRead::Items(CursorBatch {
            chunks,
            from,
            to: self.position,
            end,
            ranges: smallvec![self.open.snapshot_range()],
            more: self.chunk.published() > self.position,
            last: end,
        })
    }

    /// Records the items from `from` on in the checkpoint, as the manager did.
    ///
    /// Returns the seqno of the last one. That item is live because no later item can have replaced
    /// it yet: a batch that holds it is never empty.
    fn record_items(&mut self, chunks: &[Arc<Chunk>], from: u64) -> Option<Seqno> {
        let mut end = None;
        for slot in chunks
            .iter()
            .flat_map(|chunk| chunk.slots(from, self.position))
        {
            let item = slot.item();
            if let Operation::SetVBucketState(_) = item.operation {
                end = Some(item.seqno.prev());
                continue;
            }
            end = Some(item.seqno);
            self.open.extend_to(item.seqno, item.operation.is_visible());
            if item.operation.is_sync_write() {
                self.open.record_sync_write(item, item.seqno);
            }
        }
        end
    }
}

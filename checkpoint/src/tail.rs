//! The tail: how a reader that has kept up reads on without the manager's lock.
//!
//! In goes where it stands, at the end of the queue, and the chunk the next item will be put into, or behind; out come the
//! items put there since, and into the chunks that followed, as a batch of the open checkpoint. What always holds (C25):
//!
//! 1. The manager ends each critical section by storing its epoch, and after that the ends up to which chunks are
//!    published. A reader looks at those ends first and at the epoch then. So if the epoch is still the one it took under
//!    the lock, then up to the critical section that published the last of them nothing had happened but items being put
//!    into these very chunks and this very checkpoint; whatever has happened after, the batch is what a read under the
//!    lock would have given right after that critical section.
//! 2. How far it has read it stores in its [`Progress`], of which the manager takes notice before it gives anything up.
//!    A manager that does not know yet keeps more than it need, never less. What a batch reads it holds by its chunk.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::cursor::Progress;
use crate::fault::{self, Fault};
use crate::queue::{Chunk, Following};
use crate::{Operation, Seqno};

/// How many chunks a reader goes through in one look.
const CHUNKS_MAX: usize = 4;

/// Where a reader stands at the end of the queue.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) chunk: Arc<Chunk>,
    /// Everything below it the reader has.
    pub(crate) position: u64,
    /// The manager's epoch when this was true.
    pub(crate) epoch: u64,
    /// The open checkpoint as it was then, with every item noted that was read since.
    pub(crate) open: Checkpoint,
}

/// What a look at the tail found.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once a read; a box would cost each read an allocation"
)]
pub(crate) enum Look {
    /// Items, of which the reader's progress says now that it has them.
    Items(Batch),
    /// None.
    Nothing,
    /// Something else has changed: the reader must look under the lock.
    Changed,
}

impl Tail {
    /// Reads what has been queued since. `epoch` loads the manager's, with acquire.
    pub(crate) fn look(&mut self, epoch: impl Fn() -> u64, progress: &Progress) -> Look {
        let (from, first) = (self.position, fault::is(Fault::EpochLookedAtFirst));
        if first && epoch() != self.epoch {
            return Look::Changed;
        }
        let mut chunks = SmallVec::new();
        while chunks.len() < CHUNKS_MAX {
            let published = self.chunk.published();
            if published > self.position {
                self.position = published;
                chunks.push(Arc::clone(&self.chunk));
            }
            match self.chunk.following(self.position) {
                Following::NotYet => break,
                Following::In(next) => self.chunk = next,
                Following::Gone => return Look::Changed,
            }
        }
        if !first && epoch() != self.epoch {
            return Look::Changed;
        }
        let Some(end) = self.take_note(&chunks, from) else {
            return Look::Nothing;
        };
        progress.come_to(self.position);
        let (ranges, more) = (
            smallvec![self.open.snapshot_range()],
            self.chunk.published() > self.position,
        );
        Look::Items(Batch {
            chunks,
            from,
            to: self.position,
            end,
            ranges,
            more,
            last: end,
        })
    }

    /// Takes note of the items from `from` on, as the manager did. Returns the seqno of the last one, which is live, as
    /// nothing later can have replaced it yet: a batch that has it is never empty.
    fn take_note(&mut self, chunks: &[Arc<Chunk>], from: u64) -> Option<Seqno> {
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
                self.open.take_note(item, item.seqno);
            }
        }
        end
    }
}

//! The tail: how a reader that has kept up reads on without the manager's lock.
//!
//! In goes where it stands, at the end of the queue, and the chunk the next item will be put into, or behind; out come the
//! items put there since, and into the chunks that followed, as a batch of the open checkpoint. What always holds (C29):
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
use crate::cursor::Progress;
use crate::fault::{self, Fault};
use crate::queue::{Chunk, Following};
use crate::{Operation, Seqno, SnapshotRange};

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
    /// The open checkpoint's range then.
    pub(crate) range: SnapshotRange,
    /// The first seqno its range has or will have, if it ends at its last operation: an active's.
    pub(crate) grows_from: Option<Seqno>,
}

/// What a look at the tail found.
#[derive(Debug)]
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
        let Some(end) = self.grow(&chunks, from) else { return Look::Nothing };
        progress.come_to(self.position);
        let (ranges, more) = (smallvec![self.range], self.chunk.published() > self.position);
        Look::Items(Batch { chunks, from, to: self.position, end, ranges, more, last: end })
    }

    /// Makes the range that of the open checkpoint at the last of these items. Returns what has been read then.
    fn grow(&mut self, chunks: &[Arc<Chunk>], from: u64) -> Option<Seqno> {
        let slots = || chunks.iter().rev().flat_map(|chunk| chunk.slots(from, self.position).iter().rev());
        // The last one is live, as nothing later can have replaced it yet: such a batch is never empty.
        let last = slots().next()?.item();
        let end = match last.operation {
            Operation::SetVBucketState(_) => last.seqno.prev(),
            _ => last.seqno,
        };
        if let Some(start) = self.grows_from.filter(|&start| end >= start) {
            let newest = slots().map(|slot| slot.item()).find(|item| item.operation.is_visible());
            let visible = newest.map_or(self.range.visible, |item| item.seqno);
            self.range = SnapshotRange { start, end, visible, ..self.range };
        }
        Some(end)
    }
}

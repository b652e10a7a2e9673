//! What a cursor reads: whole checkpoints, as they were when they were read.
//!
//! A batch holds the chunks it covers and walks them without any lock. Whatever is queued, replaced or expelled
//! meanwhile, it delivers the same items: each live at its end, none twice, seqnos rising.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::queue::{Chunk, Slot};
use crate::{Item, Seqno, SnapshotRange};

/// How much a reader wants. A batch ends between checkpoints once it has reached either limit; it holds at least one
/// checkpoint. Only the persistence cursor in a disk snapshot is stopped inside one, by the item that
/// reaches a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Items.
    pub items: usize,
    /// Bytes of keys, values and what the queue adds to them.
    pub bytes: usize,
}

impl ReadLimit {
    /// Everything there is.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: usize::MAX,
    };
}

/// Items of one or more checkpoints, in order, and the ranges of those checkpoints.
#[derive(Debug)]
pub struct Batch {
    pub(crate) chunks: SmallVec<[Arc<Chunk>; 4]>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) end: Seqno,
    pub(crate) ranges: SmallVec<[SnapshotRange; 1]>,
    pub(crate) more: bool,
    /// The last seqno its reader has processed once it has read this.
    pub(crate) last: Seqno,
}

impl Batch {
    /// The items, ascending by seqno; vBucket states carry the seqno of the operation that follows them.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let starts = self
            .chunks
            .iter()
            .skip(1)
            .map(|chunk| chunk.start())
            .chain([self.to]);
        self.chunks
            .iter()
            .zip(starts)
            .flat_map(|(chunk, next)| chunk.slots(self.from, next.min(self.to)))
            .filter(|slot| slot.is_live_at(self.end))
            .map(Slot::item)
    }

    /// One range per checkpoint it was read from.
    #[must_use]
    pub fn ranges(&self) -> &[SnapshotRange] {
        &self.ranges
    }

    /// Whether the cursor has more to read already.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// The last seqno its reader has come to.
    #[must_use]
    pub fn last_seqno(&self) -> Seqno {
        self.last
    }

    /// Whether there was nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

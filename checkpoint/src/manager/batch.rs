//! A batch: whole checkpoints, exactly as they were when a cursor read them.
//!
//! A batch holds the chunks it covers and walks them without any lock. Later writes, replacements
//! and expels do not change what it delivers.
//!
//! # Invariants
//! - A batch delivers each item that was live at its end once, with rising seqnos (C7).

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::{Item, Seqno, SnapshotRange};
use crate::queue::{Chunk, Slot};

/// Items of one or more checkpoints, in order, and the ranges of those checkpoints.
#[derive(Debug)]
pub struct CursorBatch {
    pub(crate) chunks: SmallVec<[Arc<Chunk>; 4]>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) end: Seqno,
    pub(crate) ranges: SmallVec<[SnapshotRange; 1]>,
    pub(crate) more: bool,
    /// Last seqno that the reader has processed after this batch.
    pub(crate) last: Seqno,
}

impl CursorBatch {
    /// Returns the items, ascending by seqno. A vBucket state carries the seqno of the operation
    /// that follows it.
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

    /// Returns one range for each checkpoint that the batch was read from.
    #[must_use]
    pub fn ranges(&self) -> &[SnapshotRange] {
        &self.ranges
    }

    /// Returns whether the cursor already has more to read.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// Returns the last seqno that the reader has processed after this batch.
    #[must_use]
    pub fn last_seqno(&self) -> Seqno {
        self.last
    }

    /// Returns whether there was nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

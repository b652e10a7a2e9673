//! The blocks of one segment that are kept in memory.
//!
//! They belong to the use of the segment and are freed with it, so no block outlives the bytes it
//! was read from.

use std::sync::{Arc, OnceLock};

use crate::sync::{TryMutex, ranks};

/// A block of a segment.
#[derive(Debug, Default)]
pub(super) struct CachedBlock {
    pub(super) bytes: Option<Box<[u8]>>,
    /// It was read since the cache considered it last.
    pub(super) touched: bool,
}

pub(super) type BlockSlots = [TryMutex<CachedBlock>];

/// The blocks of one use of a segment; none before the first read.
#[derive(Debug, Default)]
pub(super) struct CachedBlocks(OnceLock<Arc<BlockSlots>>);

impl CachedBlocks {
    /// Returns the slots of all blocks. `count` is the number of blocks of the segment.
    pub(super) fn slots(&self, count: u32) -> &Arc<BlockSlots> {
        self.0
            .get_or_init(|| (0..count).map(|_| empty_slot()).collect())
    }

    /// Returns the slots, if a block was ever read.
    pub(super) fn existing(&self) -> Option<&Arc<BlockSlots>> {
        self.0.get()
    }
}

fn empty_slot() -> TryMutex<CachedBlock> {
    TryMutex::new(ranks::CACHED_BLOCK, CachedBlock::default())
}

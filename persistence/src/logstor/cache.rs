//! Blocks of segments that gets have read stay in memory: a record's place goes in, its bytes are shown, unchecked.
//!
//! Always (L26): a block that is kept is what its segment has there. A block is written once in a segment's use, as a part of
//! one frame, before anything names a record in it; and what is kept belongs to the use, and goes with it. Of all segments
//! together no more is kept than was asked for.
//!
//! The first block to have been read goes first, unless it was read again since. What is read in order (scans, rewriting,
//! opening) is not kept: most of it is read once.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};

use crate::sync::{Mutex, TryMutex};

use crate::disk::DiskResult;
use crate::fault::{self, Fault};

use super::config::BLOCK_BYTES;
use super::segment::{Location, Segment};

/// Longer records are not kept: reading them costs more than asking for them.
pub(super) const RECORD_BYTES_MAX: u32 = 4 * BLOCK_BYTES;

/// What is kept of one use of a segment.
#[derive(Debug, Default)]
pub(super) struct Blocks(OnceLock<Arc<[TryMutex<Block>]>>);

#[derive(Debug, Default)]
struct Block {
    bytes: Option<Box<[u8]>>,
    /// Read since it was last looked at.
    touched: bool,
}

/// A block that is kept: of which use, and its number.
type Noted = (Weak<[TryMutex<Block>]>, usize);

/// What is kept of all segments, first read first.
#[derive(Debug)]
pub(super) struct Cache {
    blocks_max: usize,
    queue: Mutex<VecDeque<Noted>>,
}

impl Cache {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            blocks_max: bytes / BLOCK_BYTES as usize,
            queue: Mutex::default(),
        }
    }

    /// Shows a record's bytes, fewer where the file ends: where they lie, if that is one block. Whoever sees them keeps
    /// others from the block meanwhile.
    ///
    /// # Errors
    /// As [`Segment::read`].
    pub(super) fn read<T>(
        &self,
        segment: &Segment,
        location: Location,
        see: impl FnOnce(&[u8]) -> T,
    ) -> DiskResult<T> {
        let Location { offset, len, .. } = location;
        if self.blocks_max == 0 {
            return Ok(see(&segment.read(offset, len as usize)?));
        }
        let end = offset.saturating_add(len);
        if offset / BLOCK_BYTES == end.saturating_sub(1) / BLOCK_BYTES {
            return self.part(segment, offset, len as usize, see);
        }
        let mut record = Vec::with_capacity(len as usize);
        let mut at = offset;
        while at < end {
            let upto = end.min(at - at % BLOCK_BYTES + BLOCK_BYTES);
            self.part(segment, at, (upto - at) as usize, |part| {
                record.extend_from_slice(part)
            })?;
            at = upto;
        }
        Ok(see(&record))
    }

    /// Shows bytes that lie in one block.
    fn part<T>(
        &self,
        segment: &Segment,
        at: u32,
        len: usize,
        see: impl FnOnce(&[u8]) -> T,
    ) -> DiskResult<T> {
        let (number, start) = ((at / BLOCK_BYTES) as usize, (at % BLOCK_BYTES) as usize);
        let blocks = segment.blocks.of(segment);
        let Some(block) = blocks.get(number) else {
            return Ok(see(&[]));
        };
        let part = |bytes: &[u8]| {
            let end = bytes.len().min(start.saturating_add(len));
            see(bytes.get(start..end).unwrap_or_default())
        };
        let mut kept = block.lock();
        if let Some(bytes) = &kept.bytes {
            let seen = part(bytes);
            kept.touched = true;
            return Ok(seen);
        }
        let bytes = segment.read(at - at % BLOCK_BYTES, BLOCK_BYTES as usize)?;
        let seen = part(&bytes);
        kept.bytes = Some(bytes.into());
        drop(kept);
        self.make_room(blocks, number);
        Ok(seen)
    }

    /// Notes a block that came in, and lets go of others.
    fn make_room(&self, blocks: &Arc<[TryMutex<Block>]>, number: usize) {
        let mut queue = self.queue.lock();
        queue.push_back((Arc::downgrade(blocks), number));
        let mut looked_at = 0;
        while queue.len() > self.blocks_max
            && let Some((blocks, number)) = queue.pop_front()
        {
            looked_at += 1;
            // Of a segment that was freed nothing is left.
            let Some(block) = blocks.upgrade() else {
                continue;
            };
            let Some(block) = block.get(number) else {
                continue;
            };
            // Whoever holds it is reading it.
            match block.try_lock() {
                Some(mut kept) if !kept.touched || looked_at > self.blocks_max => {
                    *kept = Block::default()
                }
                Some(mut kept) => {
                    kept.touched = false;
                    queue.push_back((blocks, number));
                }
                None if fault::is(Fault::BusyBlockForgotten) => {}
                None => queue.push_back((blocks, number)),
            }
        }
    }

    /// Blocks that are kept of these segments and not noted, so that nothing would ever let go of them. Only while no
    /// thread reads.
    pub(super) fn unnoted<'a>(&self, segments: impl Iterator<Item = &'a Arc<Segment>>) -> usize {
        let queue = self.queue.lock();
        let is_noted = |blocks: &Arc<[TryMutex<Block>]>, number: usize| {
            let same = |noted: &Noted| {
                noted.1 == number && noted.0.upgrade().is_some_and(|of| Arc::ptr_eq(&of, blocks))
            };
            queue.iter().any(same)
        };
        let of_segment = |blocks: &Arc<[TryMutex<Block>]>| {
            let kept = blocks
                .iter()
                .enumerate()
                .filter(|(_, block)| block.lock().bytes.is_some());
            kept.filter(|&(number, _)| !is_noted(blocks, number))
                .count()
        };
        segments
            .filter_map(|segment| segment.blocks.0.get())
            .map(of_segment)
            .sum()
    }

    /// Bytes that are kept, those of freed segments that are still noted included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.queue.lock().len() * BLOCK_BYTES as usize
    }
}

impl Blocks {
    fn of(&self, segment: &Segment) -> &Arc<[TryMutex<Block>]> {
        self.0.get_or_init(|| {
            let count = segment.bytes.div_ceil(BLOCK_BYTES);
            (0..count).map(|_| TryMutex::default()).collect()
        })
    }
}

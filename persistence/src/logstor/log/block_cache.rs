//! The cache of blocks that gets have read, of all segments together.
//!
//! The block that was read first leaves first, unless it was read again since. Sequential reads
//! (scans, rewriting, opening) bypass it: most of what they read is read once.
//!
//! # Invariants
//!
//! A cached block is what its segment has on disk (L26). A block is written once in a segment's
//! use, as a part of one frame, before a record in it is referenced. Its memory belongs to that
//! use, and is freed with it. No more blocks are kept than configured.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::cached_blocks::{BlockSlots, CachedBlock};
use super::segment::Segment;
use crate::disk::DiskResult;
use crate::fault::{self, Fault};
use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::format::{Location, to_usize};
use crate::sync::{Mutex, ranks};

/// Length of the longest record that is read through the cache: reading longer ones costs more than
/// the request.
pub(in crate::logstor) const CACHED_RECORD_BYTES_MAX: u32 = 4 * BLOCK_BYTES;

/// A cached block: the slots of its segment's use, and its number.
type CacheEntry = (Weak<BlockSlots>, usize);

/// Cached blocks of all segments, first read first.
#[derive(Debug)]
pub(in crate::logstor) struct BlockCache {
    blocks_max: usize,
    queue: Mutex<VecDeque<CacheEntry>>,
}

impl BlockCache {
    pub(in crate::logstor) fn new(bytes: usize) -> Self {
        Self {
            blocks_max: bytes / to_usize(BLOCK_BYTES),
            queue: Mutex::new(ranks::BLOCK_QUEUE, VecDeque::new()),
        }
    }

    /// Calls `read` with a record's bytes, unverified, and fewer where the file ends. A record
    /// within one block is read in place, and its block is locked meanwhile.
    ///
    /// # Errors
    /// Same as [`Segment::read`].
    pub(in crate::logstor) fn read<T>(
        &self,
        segment: &Segment,
        location: Location,
        read: impl FnOnce(&[u8]) -> T,
    ) -> DiskResult<T> {
        let Location { offset, len, .. } = location;
        if self.blocks_max == 0 {
            return Ok(read(&segment.read(offset, to_usize(len))?));
        }
        // A location may come from a damaged image. The greatest end lies in another block than any
        // record of a segment.
        let end = offset.saturating_add(len);
        if offset / BLOCK_BYTES == end.saturating_sub(1) / BLOCK_BYTES {
            return self.part(segment, offset, to_usize(len), read);
        }
        let mut record = Vec::with_capacity(to_usize(len));
        let mut at = offset;
        while at < end {
            let upto = end.min(at - at % BLOCK_BYTES + BLOCK_BYTES);
            self.part(segment, at, to_usize(upto - at), |part| {
                record.extend_from_slice(part)
            })?;
            at = upto;
        }
        Ok(read(&record))
    }

    /// Calls `read` with bytes that lie in one block.
    fn part<T>(
        &self,
        segment: &Segment,
        at: u32,
        len: usize,
        read: impl FnOnce(&[u8]) -> T,
    ) -> DiskResult<T> {
        let number = to_usize(at / BLOCK_BYTES);
        let start = to_usize(at % BLOCK_BYTES);
        let slots = segment.blocks.slots(segment.bytes.div_ceil(BLOCK_BYTES));
        let Some(slot) = slots.get(number) else {
            // Only the location of a damaged image leads beyond its segment: no record is there.
            return Ok(read(&[]));
        };
        let part = |bytes: &[u8]| {
            let end = bytes.len().min(start.saturating_add(len));
            read(bytes.get(start..end).unwrap_or_default())
        };
        let mut block = slot.lock();
        if let Some(bytes) = &block.bytes {
            let result = part(bytes);
            block.touched = true;
            return Ok(result);
        }
        let bytes = segment.read(at - at % BLOCK_BYTES, to_usize(BLOCK_BYTES))?;
        let result = part(&bytes);
        block.bytes = Some(bytes.into());
        drop(block);
        self.make_room(slots, number);
        Ok(result)
    }

    /// Enters a block that was read, and evicts others.
    fn make_room(&self, slots: &Arc<BlockSlots>, number: usize) {
        let mut queue = self.queue.lock();
        queue.push_back((Arc::downgrade(slots), number));
        let mut considered = 0;
        while queue.len() > self.blocks_max
            && let Some((slots, number)) = queue.pop_front()
        {
            considered += 1;
            // A segment that was freed has no blocks.
            let Some(all) = slots.upgrade() else {
                continue;
            };
            let Some(slot) = all.get(number) else {
                continue;
            };
            // A block that can't be locked is being read.
            match slot.try_lock() {
                Some(mut block) if !block.touched || considered > self.blocks_max => {
                    *block = CachedBlock::default()
                }
                Some(mut block) => {
                    block.touched = false;
                    queue.push_back((slots, number));
                }
                None if fault::is(Fault::BusyBlockForgotten) => {}
                None => queue.push_back((slots, number)),
            }
        }
    }

    /// Counts blocks of these segments that are in memory and not in the queue, so that they would
    /// never be evicted. Only while no thread reads.
    pub(in crate::logstor) fn unqueued<'a>(
        &self,
        segments: impl Iterator<Item = &'a Arc<Segment>>,
    ) -> usize {
        let queue = self.queue.lock();
        let is_queued = |slots: &Arc<BlockSlots>, number: usize| {
            let same = |entry: &CacheEntry| {
                entry.1 == number && entry.0.upgrade().is_some_and(|of| Arc::ptr_eq(&of, slots))
            };
            queue.iter().any(same)
        };
        let of_segment = |slots: &Arc<BlockSlots>| {
            let kept = slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.lock().bytes.is_some());
            kept.filter(|&(number, _)| !is_queued(slots, number))
                .count()
        };
        segments
            .filter_map(|segment| segment.blocks.existing())
            .map(of_segment)
            .sum()
    }

    /// Returns the bytes that are kept, and those of freed segments that are still in the queue.
    pub(in crate::logstor) fn memory_bytes(&self) -> usize {
        self.queue.lock().len() * to_usize(BLOCK_BYTES)
    }
}

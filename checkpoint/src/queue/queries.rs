//! Queries on the queue: positions, counts and runs of live items. None of them changes it.
//!
//! They are apart from the mutating operations so that both files stay one idea each.

use std::sync::Arc;

use smallvec::SmallVec;

use super::chunk::Chunk;
use super::queue::{Queue, Segment, SlotRef};
use super::slot::Slot;
use super::totals::Totals;
use crate::internal::invariant::Invariant;
use crate::model::{Item, Operation, Seqno};

impl Queue {
    /// Returns the slot at `position`, unless it is below the base or not filled.
    pub(crate) fn slot(&self, position: u64) -> Option<&Slot> {
        self.find(position).map(|(_, slot)| slot)
    }

    /// Returns the slot at `position` with its location.
    fn find(&self, position: u64) -> Option<(SlotRef, &Slot)> {
        if position < self.base || position >= self.end {
            return None;
        }
        let segment = self.segment_at(position)?;
        let (slot, found) = self.segments.get(segment)?.chunk.find(position)?;
        Some((SlotRef { segment, slot }, found))
    }

    /// Returns the live item at `position` with its location.
    pub(crate) fn live_item(&self, position: u64) -> Option<(SlotRef, &Item)> {
        self.find(position)
            .filter(|(_, slot)| slot.is_live())
            .map(|(at, slot)| (at, slot.item()))
    }

    /// Returns the first position whose seqno is greater than `after`; O(log n). A vBucket state
    /// counts as the seqno of the operation that follows it.
    pub(crate) fn seek(&self, after: Seqno) -> u64 {
        let index = self
            .segments
            .partition_point(|segment| segment.first <= after);
        let Some(segment) = index
            .checked_sub(1)
            .and_then(|index| self.segments.get(index))
        else {
            return self.base;
        };
        segment.chunk.seek(self.base, segment.filled, after)
    }

    /// Returns the totals of live items in `from..to`; O(chunks), plus the slots of the two chunks
    /// at the ends.
    pub(crate) fn live_between(&self, from: u64, to: u64) -> Totals {
        let mut totals = Totals::default();
        for segment in self.segments_between(from, to) {
            if from <= segment.start && segment.filled <= to {
                totals += segment.live;
            } else {
                for slot in segment
                    .chunk
                    .slots(from, to.min(segment.filled))
                    .iter()
                    .filter(|slot| slot.is_live())
                {
                    totals.add(slot.item().payload_bytes());
                }
            }
        }
        totals
    }

    /// Returns the first live item at or after `from`.
    pub(crate) fn first_live(&self, from: u64) -> Option<&Item> {
        self.segments_between(from, self.end)
            .filter(|segment| segment.live.items > 0)
            .flat_map(|segment| segment.chunk.slots(from, segment.filled))
            .find(|slot| slot.is_live())
            .map(Slot::item)
    }

    /// Returns the seqno of the last live operation in `from..to`. A vBucket state has no seqno of
    /// its own.
    pub(crate) fn last_live_seqno(&self, from: u64, to: u64) -> Option<Seqno> {
        self.segments_between(from, to)
            .rev()
            .filter(|segment| segment.live.items > 0)
            .flat_map(|segment| {
                segment
                    .chunk
                    .slots(from, to.min(segment.filled))
                    .iter()
                    .rev()
            })
            .filter(|slot| slot.is_live())
            .map(Slot::item)
            .find(|item| !matches!(item.operation, Operation::SetVBucketState(_)))
            .map(|item| item.seqno)
    }

    /// Returns the live items in `from..to`, in order, each with its position.
    pub(crate) fn live_items(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &Item)> {
        self.segments_between(from, to)
            .flat_map(move |segment| segment.chunk.entries(from, to.min(segment.filled)))
            .filter(|(_, slot)| slot.is_live())
            .map(|(position, slot)| (position, slot.item()))
    }

    /// Returns the number of live items from `position` on; O(log segments), plus the slots of one
    /// chunk.
    pub(crate) fn live_from(&self, position: u64) -> usize {
        let total = self.live;
        let Some(segment) = self
            .segment_at(position)
            .and_then(|index| self.segments.get(index))
        else {
            return total;
        };
        let in_segment = segment
            .chunk
            .slots(segment.start, position.min(segment.filled));
        let before = in_segment.iter().filter(|slot| slot.is_live()).count();
        total
            .checked_sub(self.live_counts.before(segment.number) + before)
            .expected("C2", "a queue counts the live slots of its chunks")
            // A reader that gets 0 finds the rest when it reads.
            .unwrap_or(0)
    }

    /// Returns the chunks that a batch over `from..to` must hold; O(chunks).
    pub(crate) fn chunks(&self, from: u64, to: u64) -> SmallVec<[Arc<Chunk>; 4]> {
        self.segments_between(from, to)
            .map(|segment| Arc::clone(&segment.chunk))
            .collect()
    }

    pub(super) fn segment_at(&self, position: u64) -> Option<usize> {
        // Fast path: most queries are about the newest items.
        match self.segments.back() {
            Some(last) if last.start <= position => Some(self.segments.len() - 1),
            _ => self
                .segments
                .partition_point(|segment| segment.start <= position)
                .checked_sub(1),
        }
    }

    pub(super) fn segments_between(
        &self,
        from: u64,
        to: u64,
    ) -> impl DoubleEndedIterator<Item = &Segment> {
        let first = self
            .segments
            .partition_point(|segment| segment.filled <= from);
        let last = self.segments.partition_point(|segment| segment.start < to);
        self.segments.range(first..last.max(first))
    }
}

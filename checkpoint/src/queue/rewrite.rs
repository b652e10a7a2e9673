//! Superseding items, and rewriting chunks whose slots are mostly dead.
//!
//! A superseded item stays in its slot for batches that were read before. Without rewriting, a
//! stalled reader and one hot key would cost memory for every write.
//!
//! # Invariants
//! - The queue costs memory for what is live in it, not for what was written to it (C20). When more
//!   slots are dead than live, full chunks with half of their slots dead are rewritten without them.
//! - A rewritten chunk keeps the position of every live item.

use smallvec::SmallVec;

use super::chunk::{Chunk, RetiredChunk};
use super::live_counts::LiveCounts;
use super::queue::{Queue, Segment, SlotRef};
use crate::internal::invariant::{Invariant, subtract};
use crate::model::Seqno;

/// Dead slots that are tolerated beyond the number of live slots. Most chunks leave soon as readers
/// advance, and rewriting them would be wasted.
pub(super) const DEAD_SLOTS_MAX: usize = if cfg!(checkpoint_loom) { 0 } else { 2048 };
/// Numbers of departed segments that are tolerated in the live counts beyond twice the number of
/// present segments.
pub(super) const STALE_NUMBERS_MAX: usize = 64;

impl Queue {
    /// Removes an item from every later read. Batches read before still deliver it.
    ///
    /// Returns `None` if the item was dead already. Otherwise returns the bytes of its key and value,
    /// and the chunks that were rewritten because too many slots are dead. The caller drops these
    /// outside the lock.
    pub(crate) fn supersede(
        &mut self,
        at: SlotRef,
        by: Seqno,
    ) -> Option<(usize, SmallVec<[RetiredChunk; 2]>)> {
        let index = at.segment;
        let segment = self
            .segments
            .get_mut(index)
            .expected("C6", "a slot's location is valid until the queue changes")?;
        let payload = segment.chunk.supersede(at.slot, by)?;
        segment.live.remove(payload);
        if !segment.is_filling {
            self.live_counts.add(segment.number, -1);
        }
        self.live -= 1;
        self.dead += 1;
        let mut retired = SmallVec::new();
        let is_empty = segment.live.items == 0;
        let is_too_much = self.dead > self.live + DEAD_SLOTS_MAX;
        if is_empty || is_too_much {
            retired.extend(self.rewrite_if_dead(index));
        }
        if is_too_much {
            // Segments whose keys are no longer written are examined in turn.
            self.next_examined = if self.next_examined < self.segments.len() {
                self.next_examined + 1
            } else {
                0
            };
            retired.extend(self.rewrite_if_dead(self.next_examined));
        }
        Some((payload, retired))
    }

    /// Rewrites a segment that is no longer filled and of which at least half is dead. A segment
    /// without live items is removed.
    ///
    /// Each item moves at most once for every item that died: amortised O(1) a write.
    fn rewrite_if_dead(&mut self, index: usize) -> Option<RetiredChunk> {
        let has_room = self.has_room();
        let segment = self.segments.get(index)?;
        if segment.live.items * 2 > segment.slots || (segment.is_filling && has_room) {
            return None;
        }
        if segment.is_filling {
            self.stop_filling();
        }
        self.layout += 1;
        let segment = self
            .segments
            .remove(index)
            .expected("C20", "the segment to rewrite is in the queue")?;
        subtract(
            &mut self.bytes,
            segment.chunk.bytes(),
            "C2",
            "a queue counts the bytes of its chunks",
        );
        subtract(
            &mut self.dead,
            segment.dead(),
            "C2",
            "a queue counts the dead slots of its chunks",
        );
        if segment.live.items == 0 {
            self.renumber_if_stale();
            return Some(RetiredChunk::Shared(segment.chunk));
        }
        let slots = segment.live.items;
        let (chunk, retired) = Chunk::without_dead(segment.chunk, segment.filled, &self.account);
        self.bytes += chunk.bytes();
        let first = chunk
            .as_slice()
            .first()
            .expected("C20", "a rewritten chunk has each live item")
            // A search begins in this chunk then, as it did before.
            .map_or(segment.first, |slot| slot.item().seqno);
        self.segments.insert(
            index,
            Segment {
                chunk,
                first,
                slots,
                ..segment
            },
        );
        Some(retired)
    }

    /// Renumbers the segments once most numbers in the live counts belong to departed segments.
    pub(super) fn renumber_if_stale(&mut self) {
        if self.live_counts.len() <= 2 * self.segments.len() + STALE_NUMBERS_MAX {
            return;
        }
        for (number, segment) in self.segments.iter_mut().enumerate() {
            segment.number = number;
        }
        let counted = |segment: &Segment| {
            if segment.is_filling {
                0
            } else {
                segment.live.items
            }
        };
        self.live_counts = LiveCounts::from_counts(self.segments.iter().map(counted));
    }
}

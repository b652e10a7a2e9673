//! The state to commit with a batch: the vBucket's state once exactly that batch is durable.
//!
//! It is computed from the previously committed state and the batch, without looking at items that
//! are still queued.
//!
//! # Invariants (C22)
//! - A snapshot counts as whole only once the item with its end is in a batch, whatever ranges follow
//!   it. Until then the range says where the partial snapshot starts. Neither its completed seqno
//!   (from disk) nor its prepares count.
//! - Its purge seqno counts with its first part.
//! - A copy that becomes active with a disk snapshot in memory still flushes it in parts: becoming
//!   active makes no part whole.
//! - A snapshot whose rest never came is whole once all of its received items are durable. A change
//!   of state that is flushed alone completes it then, but not while a part is still queued.

use super::roles::role;
use super::vbucket::VBucket;
use crate::fault::{self, Fault};
use crate::manager::{CursorBatch, Role};
use crate::model::{Seqno, SnapshotRange, SnapshotType, StateUpdate, VBucketState};

impl VBucket {
    /// Returns the state to commit with `batch`, for a store that has everything up to `on_disk`,
    /// committed with `previous`.
    #[must_use]
    pub fn state_with(
        &self,
        batch: &CursorBatch,
        previous: &VBucketState,
        on_disk: Seqno,
    ) -> VBucketState {
        let (current, active_since) = {
            let locked = self.lock();
            (locked.current.clone(), locked.active_since)
        };
        let mut next = VBucketState {
            state: current.state,
            failover_log: current.failover_log,
            replication_topology: current.replication_topology,
            ..previous.clone()
        };
        // A batch does not mix disk snapshots with any other.
        let source = batch
            .ranges()
            .first()
            .map_or(SnapshotType::Memory, |range| range.snapshot_type);
        let mut last_seqno = None;
        for item in batch.items() {
            next.apply(StateUpdate::of(item), item.seqno, source);
            if item.operation.namespace().is_some() {
                last_seqno = Some(item.seqno);
            }
        }
        let last = batch.ranges().iter().rfind(|range| range.last.is_some());
        let Some((high, last)) = last_seqno.zip(last) else {
            if role(next.state) == Role::Active && on_disk >= active_since {
                next.mark_whole_up_to(on_disk);
            }
            return next;
        };
        next.snapshot_type = last.snapshot_type;
        next.snapshot_end = before_extension(last).map_or(last.end, |before| before.end);
        let mut is_partial = true;
        for range in batch.ranges() {
            next.record_purged(range, high);
            let before = before_extension(range);
            let whole = before.as_ref().unwrap_or(range);
            if is_whole(whole, high) {
                next.complete_snapshot(whole, previous.prepared_seqno);
            }
            if range.last.is_some() {
                is_partial = !is_whole(whole, high);
            }
        }
        if role(next.state) == Role::Active {
            if !is_partial {
                next.high_prepared_seqno = next.high_prepared_seqno.max(next.prepared_seqno);
            }
            if fault::is(Fault::WhatAnActiveFlushesIsWhole) {
                (next.snapshot_start, next.snapshot_end) = (high, high);
            }
        }
        next
    }
}

/// Returns whether the item with the range's end is in the batch or in an earlier one.
///
/// An empty range is never whole by itself, even if its end is the seqno of an earlier item.
fn is_whole(range: &SnapshotRange, high: Seqno) -> bool {
    range.last == Some(range.end) && range.end <= high
}

/// Returns the snapshot as it was before its extension, if no item of the extension is there yet.
///
/// Its marker's figures about durable writes are about the whole snapshot, so they are left out.
fn before_extension(range: &SnapshotRange) -> Option<SnapshotRange> {
    let end = range.last.filter(|_| range.awaits_extension())?;
    Some(SnapshotRange {
        end,
        high_completed_seqno: None,
        high_prepared_seqno: None,
        ..*range
    })
}

impl VBucketState {
    /// Marks everything up to `high` as whole: a promoted copy's snapshot and prepares are its own
    /// history.
    fn mark_whole_up_to(&mut self, high: Seqno) {
        (self.snapshot_start, self.snapshot_end) = (high, high);
        self.high_prepared_seqno = self.high_prepared_seqno.max(self.prepared_seqno);
    }

    /// Records that everything up to the end of `whole` is durable, together with its prepares, those
    /// of earlier batches included.
    fn complete_snapshot(&mut self, whole: &SnapshotRange, prepared_before: Seqno) {
        self.snapshot_start = self.snapshot_start.max(whole.end);
        let before = if prepared_before <= whole.end {
            prepared_before
        } else {
            Seqno::ZERO
        };
        // A range without the seqno of a prepare raises nothing.
        let prepared = whole.high_prepared_seqno.unwrap_or_default().max(before);
        self.high_prepared_seqno = self.high_prepared_seqno.max(prepared);
        let completed = whole.high_completed_seqno.unwrap_or_default();
        self.high_completed_seqno = self.high_completed_seqno.max(completed);
    }

    /// Records the tombstones that the sender of `part` had purged, as far as the part reaches.
    ///
    /// They are missing in any part of the snapshot. If its rest never comes, clients of this copy
    /// must still learn of them.
    fn record_purged(&mut self, part: &SnapshotRange, high: Seqno) {
        if let (Some(purged), Some(last)) = (part.purge_seqno, part.last) {
            self.purge_seqno = self.purge_seqno.max(purged.min(last).min(high));
        }
    }
}

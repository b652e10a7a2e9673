//! What is committed with a batch: the state as it is once exactly that batch is durable.
//!
//! In goes what was committed before and the batch; out comes the next state. What always holds (C22): a snapshot counts
//! as whole only once the item with its end is in a batch, whatever ranges follow it; until then the range says
//! from where on it is half, and neither what it has completed (from disk) nor what it has prepared counts. What its sender
//! had purged counts at once. A copy that becomes active with a snapshot from disk in its memory flushes it in parts as before:
//! to lead makes no part whole. What it has of a snapshot whose rest never came is whole once all that it had received is durable,
//! also where only a change of state is left to flush then: not while a part of it is still queued behind that change.

use super::{VBucket, role};
use crate::fault::{self, Fault};
use crate::state::Note;
use crate::{Batch, Role, Seqno, SnapshotRange, SnapshotType, VBucketState};

impl VBucket {
    /// What to commit with `batch`, where the store has everything up to `high`, committed with `previous`.
    #[must_use]
    pub fn state_with(&self, batch: &Batch, previous: &VBucketState, high: Seqno) -> VBucketState {
        let (current, leads_from) = {
            let inner = self.lock();
            (inner.current.clone(), inner.leads_from)
        };
        let mut next = VBucketState {
            state: current.state,
            failover_log: current.failover_log,
            replication_topology: current.replication_topology,
            ..previous.clone()
        };
        // Batches do not mix snapshots from disk with any other.
        let from = batch
            .ranges()
            .first()
            .map_or(SnapshotType::Memory, |range| range.snapshot_type);
        let mut last_seqno = None;
        for item in batch.items() {
            next.take_note(Note::of(item), item.seqno, from);
            if item.operation.namespace().is_some() {
                last_seqno = Some(item.seqno);
            }
        }
        let last = batch.ranges().iter().rfind(|range| range.last.is_some());
        let Some((high, last)) = last_seqno.zip(last) else {
            if role(next.state) == Role::Active && high >= leads_from {
                next.is_history_up_to(high);
            }
            return next;
        };
        next.snapshot_type = last.snapshot_type;
        next.snapshot_end = before_extension(last).map_or(last.end, |before| before.end);
        let mut is_cut = true;
        for range in batch.ranges() {
            next.lacks_what_was_purged(range, high);
            let before = before_extension(range);
            let whole = before.as_ref().unwrap_or(range);
            if is_whole(whole, high) {
                next.complete(whole, previous.prepared_seqno);
            }
            if range.last.is_some() {
                is_cut = !is_whole(whole, high);
            }
        }
        if role(next.state) == Role::Active {
            if !is_cut {
                next.high_prepared_seqno = next.high_prepared_seqno.max(next.prepared_seqno);
            }
            if fault::is(Fault::WhatAnActiveFlushesIsWhole) {
                (next.snapshot_start, next.snapshot_end) = (high, high);
            }
        }
        next
    }
}

/// Whether the item with its end is in the batch or was in one before it. An empty range is never whole by itself, though
/// its end may be the seqno of an item before it.
fn is_whole(range: &SnapshotRange, high: Seqno) -> bool {
    range.last == Some(range.end) && range.end <= high
}

/// The snapshot as it was before it was extended, if nothing more of it is there. What durable writes have come to is said of
/// the whole one only.
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
    /// What a promoted copy had of a snapshot is its own history, whole, and so is what it prepared.
    fn is_history_up_to(&mut self, high: Seqno) {
        (self.snapshot_start, self.snapshot_end) = (high, high);
        self.high_prepared_seqno = self.high_prepared_seqno.max(self.prepared_seqno);
    }

    /// Everything up to the end of `whole` is durable, and so are its prepares, those of earlier batches included.
    fn complete(&mut self, whole: &SnapshotRange, prepared_before: Seqno) {
        self.snapshot_start = self.snapshot_start.max(whole.end);
        let before = if prepared_before <= whole.end {
            prepared_before
        } else {
            Seqno::ZERO
        };
        let prepared = whole.high_prepared_seqno.unwrap_or_default().max(before);
        self.high_prepared_seqno = self.high_prepared_seqno.max(prepared);
        let completed = whole.high_completed_seqno.unwrap_or_default();
        self.high_completed_seqno = self.high_completed_seqno.max(completed);
    }

    /// Tombstones its sender had purged are missing in any part of a snapshot, as far as that part reaches: if the rest never
    /// comes, a client of this copy must still be told.
    fn lacks_what_was_purged(&mut self, part: &SnapshotRange, high: Seqno) {
        if let (Some(purged), Some(last)) = (part.purge_seqno, part.last) {
            self.purge_seqno = self.purge_seqno.max(purged.min(last).min(high));
        }
    }
}

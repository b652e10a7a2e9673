//! Reading: the checkpoints that make up a cursor's next batch.
//!
//! Under the lock a read collects chunks and ranges only. The items are walked later, without it.
//!
//! # Invariants
//! - A cursor reads everything behind it once and in order, except a revision whose replacement it
//!   will read (C8).
//! - A batch consists of whole checkpoints of one kind. Only the persistence cursor is stopped inside
//!   one, in a snapshot from disk (C12).

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::CheckpointError;
use crate::internal::sync::Signal;
use crate::manager::batch::CursorBatch;
use crate::manager::checkpoint::Checkpoint;
use crate::manager::cursors::Cursor;
use crate::manager::locked_state::LockedState;
use crate::manager::read_limit::{ReadEnd, ReadLimit};
use crate::manager::tail::Tail;
use crate::model::Seqno;
use crate::queue::Totals;

impl LockedState {
    pub(crate) fn read(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
    ) -> Result<CursorBatch, CheckpointError> {
        if Some(cursor) == self.persistence {
            return Err(CheckpointError::InvalidArgument(
                "only a flush reads the persistence cursor",
            ));
        }
        self.read_to(cursor, limit, ReadEnd::Checkpoint)
    }

    /// Reads a batch and returns the tail, if the cursor now stands where its owner can continue
    /// without the lock.
    ///
    /// If there is nothing to read, a given `signal` is raised once an item is queued or the cursor
    /// is replaced or dropped.
    pub(crate) fn read_or_arm(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: Option<&Arc<Signal>>,
    ) -> Result<(CursorBatch, Option<Tail>), CheckpointError> {
        let batch = self.read(cursor, limit)?;
        if let (true, Some(signal)) = (batch.is_empty(), signal) {
            self.arm(signal);
        }
        Ok((batch, self.tail(cursor)))
    }

    /// Arms `signal` to be raised when an item is queued. It is lowered under the lock, so no item
    /// queued later is missed.
    pub(crate) fn arm(&mut self, signal: &Arc<Signal>) {
        signal.lower();
        if !self.idle.iter().any(|armed| Arc::ptr_eq(armed, signal)) {
            self.idle.push(Arc::clone(signal));
        }
    }

    fn tail(&self, cursor: Cursor) -> Option<Tail> {
        let position = self.cursors.get(cursor)?.position;
        let chunk = self
            .queue
            .newest()
            .filter(|_| position == self.queue.end())?;
        Some(Tail {
            chunk,
            position,
            epoch: self.epoch(),
            open: self.open.clone(),
        })
    }

    /// Reads a batch that ends where `end` allows, and moves the cursor behind it.
    pub(super) fn read_to(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
        end: ReadEnd,
    ) -> Result<CursorBatch, CheckpointError> {
        limit.require_any()?;
        self.sync_progress(cursor);
        let state = self
            .cursors
            .get(cursor)
            .ok_or(CheckpointError::UnknownCursor)?;
        let (from, seqno) = (state.position, state.seqno);
        let mut batch = self.batch_from(from, limit, end);
        batch.last = self.processed_at(batch.to, seqno);
        self.cursors.record_read(cursor, batch.to, batch.last);
        self.remove_unreferenced();
        Ok(batch)
    }

    pub(crate) fn remaining(&mut self, cursor: Cursor) -> Result<usize, CheckpointError> {
        self.sync_progress(cursor);
        let state = self
            .cursors
            .get(cursor)
            .ok_or(CheckpointError::UnknownCursor)?;
        Ok(self.queue.live_from(state.position))
    }

    /// Returns the batch that starts at `from`: whole checkpoints, until a limit is reached or the
    /// next checkpoint is of another kind.
    fn batch_from(&self, from: u64, limit: ReadLimit, read_end: ReadEnd) -> CursorBatch {
        let mut batch = CursorBatch {
            chunks: SmallVec::new(),
            from,
            to: from,
            end: self.high,
            ranges: SmallVec::new(),
            more: false,
            last: Seqno::ZERO,
        };
        let mut last: Option<&Checkpoint> = None;
        let mut read = Totals::default();
        // End of the last whole snapshot, and the number of ranges up to it.
        let mut boundary = None;
        for (checkpoint, checkpoint_end) in self.checkpoints_from(from) {
            let start = from.max(checkpoint.first);
            let mut end = checkpoint_end;
            let held = if start == checkpoint.first {
                checkpoint.live
            } else {
                self.queue.live_between(start, end)
            };
            if held.items > 0 {
                let is_full = read.items >= limit.items || read.bytes >= limit.bytes;
                let is_other_kind = last.is_some_and(|last| !last.may_share_batch_with(checkpoint));
                if last.is_some() && (is_full || is_other_kind) {
                    break;
                }
                let is_too_much = held.items > limit.items || held.bytes > limit.bytes;
                let may_split = read_end != ReadEnd::Checkpoint && checkpoint.may_split;
                if may_split && is_too_much {
                    end = self.hard_limit(start, end, limit);
                }
                let range = checkpoint.snapshot_range();
                if range.last == Some(range.end) && end == checkpoint_end {
                    boundary = Some((end, batch.ranges.len() + 1));
                }
                batch.ranges.push(range);
                last = Some(checkpoint);
                read += held;
            }
            batch.to = end;
            // Everything behind a split snapshot waits for its rest, even an empty checkpoint.
            if end < checkpoint_end {
                break;
            }
        }
        if let (ReadEnd::Boundary, Some((to, ranges))) = (read_end, boundary)
            && ranges < batch.ranges.len()
        {
            batch.to = to;
            batch.ranges.truncate(ranges);
        }
        batch.chunks = self.queue.chunks(from, batch.to);
        batch.more = self.queue.first_live(batch.to).is_some();
        batch
    }

    /// Returns the checkpoints that end behind `from`, each with the position after its last item.
    fn checkpoints_from(&self, from: u64) -> impl Iterator<Item = (&Checkpoint, u64)> {
        self.checkpoints_and_ends()
            .filter(move |&(_, end)| end > from)
    }

    /// Returns the end of a batch from `from` that stops with the item that reaches a limit. A large
    /// snapshot from disk may otherwise exceed what one commit can hold.
    fn hard_limit(&self, from: u64, to: u64, limit: ReadLimit) -> u64 {
        let mut read = Totals::default();
        let last = self.queue.live_items(from, to).find(|(_, item)| {
            read.add(item.payload_bytes());
            read.items >= limit.items || read.bytes >= limit.bytes
        });
        last.map_or(to, |(position, _)| position + 1)
    }
}

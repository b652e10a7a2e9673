//! Reading: which checkpoints make up a cursor's next batch.

use smallvec::SmallVec;

use super::inner::Inner;
use crate::batch::{Batch, ReadLimit};
use crate::checkpoint::Checkpoint;
use crate::cursor::Cursor;
use crate::queue::Totals;
use crate::{CheckpointError, Seqno};

/// Where a read may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Between checkpoints.
    Checkpoint,
    /// Also inside a snapshot from disk, at a limit: the flusher's.
    Limit,
    /// As that; but with a snapshot's end if it has come to one.
    Boundary,
}

impl Inner {
    pub(super) fn read(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
    ) -> Result<Batch, CheckpointError> {
        if Some(cursor) == self.persistence {
            return Err(CheckpointError::InvalidArgument(
                "the persistence cursor is the flusher's",
            ));
        }
        self.read_to(cursor, limit, End::Checkpoint)
    }

    pub(super) fn read_to(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
        end: End,
    ) -> Result<Batch, CheckpointError> {
        if limit.items == 0 || limit.bytes == 0 {
            return Err(CheckpointError::InvalidArgument(
                "a limit of 0 reads nothing",
            ));
        }
        self.catch_up(cursor);
        let state = self
            .cursors
            .get(cursor)
            .ok_or(CheckpointError::UnknownCursor)?;
        let (from, seqno) = (state.position, state.seqno);
        let mut batch = self.batch_from(from, limit, end);
        batch.last = self.processed_at(batch.to, seqno);
        self.cursors.set(cursor, batch.to, batch.last);
        self.remove_unreferenced();
        Ok(batch)
    }

    pub(super) fn remaining(&mut self, cursor: Cursor) -> Result<usize, CheckpointError> {
        self.catch_up(cursor);
        let state = self
            .cursors
            .get(cursor)
            .ok_or(CheckpointError::UnknownCursor)?;
        Ok(self.queue.live_from(state.position))
    }

    /// The batch that starts at `from`: whole checkpoints, until a limit is reached or the next is of another kind.
    fn batch_from(&self, from: u64, limit: ReadLimit, reads_to: End) -> Batch {
        let mut batch = Batch {
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
        // Where the last whole snapshot ends, and how many ranges there are up to it.
        let mut boundary = None;
        for (checkpoint, checkpoint_end) in self.checkpoints_from(from) {
            let (start, mut end) = (from.max(checkpoint.first), checkpoint_end);
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
                let may_cut = reads_to != End::Checkpoint && checkpoint.may_be_cut;
                if may_cut && is_too_much {
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
            // Whatever follows a snapshot that was cut waits for its rest, an empty checkpoint too.
            if end < checkpoint_end {
                break;
            }
        }
        if let (End::Boundary, Some((to, ranges))) = (reads_to, boundary)
            && ranges < batch.ranges.len()
        {
            batch.to = to;
            batch.ranges.truncate(ranges);
        }
        batch.chunks = self.queue.chunks(from, batch.to);
        batch.more = self.queue.first_live(batch.to).is_some();
        batch
    }

    /// The checkpoints that end behind `from`, each with the position after its last item.
    fn checkpoints_from(&self, from: u64) -> impl Iterator<Item = (&Checkpoint, u64)> {
        let ends = self
            .closed
            .iter()
            .skip(1)
            .chain([&self.open])
            .map(|next| next.first);
        let ends = ends.take(self.closed.len()).chain([self.queue.end()]);
        self.checkpoints()
            .zip(ends)
            .filter(move |&(_, end)| end > from)
    }

    /// Where a batch from `from` must end so that it stops with the item that reaches a limit; a large snapshot from
    /// disk may otherwise be more than one commit can hold.
    fn hard_limit(&self, from: u64, to: u64, limit: ReadLimit) -> u64 {
        let mut read = Totals::default();
        let last = self.queue.live_items(from, to).find(|(_, item)| {
            read.add(item.payload_bytes());
            read.items >= limit.items || read.bytes >= limit.bytes
        });
        last.map_or(to, |(position, _)| position + 1)
    }
}

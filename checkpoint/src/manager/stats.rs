//! The manager's counters, and what it knows of each checkpoint and each cursor.
//!
//! Nothing here is kept up to date for its own sake: queueing counts what de-duplication needs, everything else is summed
//! up when somebody asks. `docs/statistics.md` says what other systems count and this one does not.

use super::inner::Inner;
use crate::checkpoint::Checkpoint;
use crate::{CursorInfo, Seqno, SnapshotRange};

/// What a manager holds and has done. Counts cover resident queued operations, vBucket states included; a flush in
/// progress adds nothing to any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// The last seqno queued.
    pub high_seqno: Seqno,
    /// Checkpoints, the open one included.
    pub checkpoints: usize,
    /// The open checkpoint's id.
    pub open_checkpoint_id: u64,
    /// Resident items.
    pub items: usize,
    /// Resident items of the open checkpoint.
    pub open_items: usize,
    /// Registered cursors.
    pub cursors: usize,
    /// Items queued, since the start: each is resident still or in one of the next four.
    pub enqueued: u64,
    /// Items replaced by a newer revision, since the start.
    pub deduplicated: u64,
    /// Items expelled, since the start.
    pub expelled: u64,
    /// Items that left with a removed checkpoint, since the start.
    pub removed: u64,
    /// Items that rollbacks dropped, since the start.
    pub cleared: u64,
    /// Bytes of keys, values and what the queue adds to them that expelling gave up, since the start. Readers' batches may
    /// hold some of them still.
    pub expelled_bytes: u64,
    /// The same, of removed checkpoints.
    pub removed_bytes: u64,
    /// Checkpoints opened, since the start.
    pub checkpoints_created: u64,
    /// Checkpoints removed or dropped by a rollback, since the start.
    pub checkpoints_removed: u64,
    /// Cursors dropped by memory recovery, since the start.
    pub cursors_dropped: u64,
    /// Times a subscriber that had nothing to read was woken, since the start.
    pub wake_ups: u64,
    /// Bytes the queue keeps alive: slots, keys, values.
    pub queue_bytes: usize,
    /// Bytes of the key index.
    pub index_bytes: usize,
    /// Bytes that left the queue and that only batches still being read keep alive, subscriptions that stand at the tail
    /// (a chunk each), or a reclaimer that has not freed them yet.
    pub reader_bytes: usize,
}

/// One checkpoint's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// Its number.
    pub id: u64,
    /// Whether it takes items; only the last one does.
    pub is_open: bool,
    /// Its snapshot: seqnos, what is visible, where it comes from, whether every revision was kept.
    pub range: SnapshotRange,
    /// Everything up to this seqno is gone from it or was never in it.
    pub gone_up_to: Seqno,
    /// Its resident items.
    pub items: usize,
    /// Bytes of their keys and values.
    pub payload_bytes: usize,
    /// What the queue adds to them: slots and index entries.
    pub overhead_bytes: usize,
    /// Cursors that stand in it.
    pub cursors: usize,
}

impl CheckpointStats {
    /// Everything charged to the manager.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.queue_bytes + self.index_bytes + self.reader_bytes
    }
}

impl Inner {
    pub(super) fn stats(&self) -> CheckpointStats {
        let (queue_bytes, index_bytes) = (self.queue.bytes(), self.index_bytes());
        let (items, checkpoints) = (self.resident_items(), self.closed.len() + 1);
        let left = self.deduplicated + self.expelled + self.removed + self.cleared;
        CheckpointStats {
            high_seqno: self.high,
            checkpoints,
            open_checkpoint_id: self.open.id,
            items,
            open_items: self.open.live.items,
            cursors: self.cursors.len(),
            enqueued: items as u64 + left,
            deduplicated: self.deduplicated,
            expelled: self.expelled,
            removed: self.removed,
            cleared: self.cleared,
            expelled_bytes: self.expelled_bytes,
            removed_bytes: self.removed_bytes,
            checkpoints_created: self.checkpoints_created,
            checkpoints_removed: self.checkpoints_created - checkpoints as u64,
            cursors_dropped: self.dropped,
            wake_ups: self.wake_ups,
            queue_bytes,
            index_bytes,
            reader_bytes: self
                .account
                .total()
                .saturating_sub(queue_bytes + index_bytes),
        }
    }

    pub(super) fn resident_items(&self) -> usize {
        self.checkpoints()
            .map(|checkpoint| checkpoint.live.items)
            .sum()
    }

    /// Every cursor, by name.
    pub(super) fn cursor_infos(&mut self) -> Vec<CursorInfo> {
        self.catch_up_all();
        let info = |state: &crate::cursor::CursorState| CursorInfo {
            name: state.name.clone(),
            seqno: state.seqno,
            droppable: state.droppable,
            checkpoint_id: self.holder(state.position).id,
            remaining: self.queue.live_from(state.position),
            reads: state.reads,
        };
        self.cursors.iter().map(info).collect()
    }

    /// Every checkpoint, oldest first.
    pub(super) fn checkpoint_infos(&mut self) -> Vec<CheckpointInfo> {
        self.catch_up_all();
        let infos = self.checkpoints().map(|checkpoint| {
            let stands_here = |position| self.holder(position).id == checkpoint.id;
            CheckpointInfo {
                id: checkpoint.id,
                is_open: checkpoint.open,
                range: checkpoint.snapshot_range(),
                gone_up_to: checkpoint.dummy,
                items: checkpoint.live.items,
                payload_bytes: checkpoint.live.payload_bytes(),
                overhead_bytes: checkpoint.live.bytes - checkpoint.live.payload_bytes(),
                cursors: self
                    .cursors
                    .iter()
                    .filter(|cursor| stands_here(cursor.position))
                    .count(),
            }
        });
        infos.collect()
    }

    /// The checkpoint in which whoever is at `position` stands.
    fn holder(&self, position: u64) -> &Checkpoint {
        self.checkpoints()
            .rev()
            .find(|checkpoint| checkpoint.first <= position)
            .unwrap_or(self.front())
    }
}

#[cfg(test)]
mod tests;

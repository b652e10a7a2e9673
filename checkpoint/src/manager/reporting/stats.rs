//! The manager's counters, and the figures of each checkpoint and each cursor.
//!
//! Queueing counts only what de-duplication needs; everything else is summed up on request.
//! `docs/statistics.md` lists the figures of other systems that this one does not have.

use crate::internal::invariant::Invariant;
use crate::internal::number::to_u64;
use crate::manager::checkpoint::Checkpoint;
use crate::manager::cursors::{CursorInfo, CursorState};
use crate::manager::locked_state::LockedState;
use crate::model::{Seqno, SnapshotRange};

/// The contents and the history of a manager.
///
/// Counts cover resident queued operations, vBucket states included. A flush in progress adds to
/// none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// Last seqno queued.
    pub high_seqno: Seqno,
    /// Checkpoints, the open one included.
    pub checkpoints: usize,
    /// Id of the open checkpoint.
    pub open_checkpoint_id: u64,
    /// Resident items.
    pub items: usize,
    /// Resident items of the open checkpoint.
    pub open_items: usize,
    /// Registered cursors.
    pub cursors: usize,
    /// Items queued since the start. Each is still resident or counted by one of the next four.
    pub enqueued: u64,
    /// Items replaced by a newer revision since the start.
    pub deduplicated: u64,
    /// Items expelled since the start.
    pub expelled: u64,
    /// Items that left with a removed checkpoint since the start.
    pub removed: u64,
    /// Items dropped by rollbacks since the start.
    pub cleared: u64,
    /// Bytes of keys, values and the queue's overhead that were expelled since the start. Readers'
    /// batches may still hold some of them.
    pub expelled_bytes: u64,
    /// Bytes that left with removed checkpoints since the start, counted like `expelled_bytes`.
    pub removed_bytes: u64,
    /// Checkpoints opened since the start.
    pub checkpoints_created: u64,
    /// Checkpoints removed, or dropped by a rollback, since the start.
    pub checkpoints_removed: u64,
    /// Cursors dropped by memory recovery since the start.
    pub cursors_dropped: u64,
    /// Wake-ups of subscribers that had nothing to read, since the start.
    pub wake_ups: u64,
    /// Bytes that the queue keeps alive: slots, keys, values.
    pub queue_bytes: usize,
    /// Bytes of the key index.
    pub index_bytes: usize,
    /// Bytes that left the queue but are still held: by batches being read, by subscriptions at the
    /// tail (one chunk each), or by a reclaimer that has not freed them yet.
    pub reader_bytes: usize,
}

/// One checkpoint's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// Number.
    pub id: u64,
    /// Whether the checkpoint takes items. Only the last one does.
    pub is_open: bool,
    /// Snapshot: seqnos, visibility, source, and whether every revision was kept.
    pub range: SnapshotRange,
    /// Everything up to this seqno was expelled, or never was in the checkpoint.
    pub gone_up_to: Seqno,
    /// Resident items.
    pub items: usize,
    /// Bytes of their keys and values.
    pub payload_bytes: usize,
    /// Bytes of the queue's overhead for them: slots and index entries.
    pub overhead_bytes: usize,
    /// Cursors that stand in the checkpoint.
    pub cursors: usize,
}

impl CheckpointStats {
    /// Returns all bytes charged to the manager.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.queue_bytes + self.index_bytes + self.reader_bytes
    }
}

impl LockedState {
    pub(crate) fn stats(&self) -> CheckpointStats {
        let queue_bytes = self.queue.bytes();
        let index_bytes = self.index_bytes();
        let items = self.resident_items();
        let checkpoints = self.closed.len() + 1;
        let left = self.deduplicated + self.expelled + self.removed + self.cleared;
        CheckpointStats {
            high_seqno: self.high,
            checkpoints,
            open_checkpoint_id: self.open.id,
            items,
            open_items: self.open.live.items,
            cursors: self.cursors.len(),
            enqueued: to_u64(items) + left,
            deduplicated: self.deduplicated,
            expelled: self.expelled,
            removed: self.removed,
            cleared: self.cleared,
            expelled_bytes: self.expelled_bytes,
            removed_bytes: self.removed_bytes,
            checkpoints_created: self.checkpoints_created,
            checkpoints_removed: self
                .checkpoints_created
                .checked_sub(to_u64(checkpoints))
                .expected("C1", "each checkpoint was created")
                // A figure for people. No decision depends on it.
                .unwrap_or(0),
            cursors_dropped: self.dropped,
            wake_ups: self.wake_ups,
            queue_bytes,
            index_bytes,
            reader_bytes: self
                .account
                .total()
                .checked_sub(queue_bytes + index_bytes)
                .expected("C13", "the account has the bytes of queue and index")
                // A figure for people. No decision depends on it.
                .unwrap_or(0),
        }
    }

    /// Returns the figures of every cursor, ordered by name.
    pub(crate) fn cursor_infos(&mut self) -> Vec<CursorInfo> {
        self.sync_all_progress();
        let info = |state: &CursorState| CursorInfo {
            name: state.name.clone(),
            seqno: state.seqno,
            droppable: state.droppable,
            checkpoint_id: self.holder(state.position).id,
            remaining: self.queue.live_from(state.position),
            reads: state.reads,
        };
        self.cursors.iter().map(info).collect()
    }

    /// Returns the figures of every checkpoint, oldest first.
    pub(crate) fn checkpoint_infos(&mut self) -> Vec<CheckpointInfo> {
        self.sync_all_progress();
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

    /// Returns the checkpoint in which a cursor at `position` stands.
    fn holder(&self, position: u64) -> &Checkpoint {
        self.checkpoints()
            .rev()
            .find(|checkpoint| checkpoint.first <= position)
            .expected("C4", "no cursor is below the base")
            // The checkpoint that such a cursor would read first.
            .unwrap_or(self.oldest())
    }
}

#[cfg(test)]
mod tests;

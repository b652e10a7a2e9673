//! The manager's counters.

use super::inner::Inner;
use crate::Seqno;

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
    /// Items replaced by a newer revision, since the start.
    pub deduplicated: u64,
    /// Items expelled, since the start.
    pub expelled: u64,
    /// Items that left with a removed checkpoint, since the start.
    pub removed: u64,
    /// Cursors dropped by memory recovery, since the start.
    pub cursors_dropped: u64,
    /// Times a subscriber that had nothing to read was woken, since the start.
    pub wake_ups: u64,
    /// Bytes the queue keeps alive: slots, keys, values.
    pub queue_bytes: usize,
    /// Bytes of the key index.
    pub index_bytes: usize,
    /// Bytes that left the queue and that only batches still being read keep alive.
    pub reader_bytes: usize,
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
        CheckpointStats {
            high_seqno: self.high,
            checkpoints: self.closed.len() + 1,
            open_checkpoint_id: self.open.id,
            items: self.checkpoints().map(|checkpoint| checkpoint.live.items).sum(),
            open_items: self.open.live.items,
            cursors: self.cursors.len(),
            deduplicated: self.deduplicated,
            expelled: self.expelled,
            removed: self.removed,
            cursors_dropped: self.dropped,
            wake_ups: self.wake_ups,
            queue_bytes,
            index_bytes,
            reader_bytes: self.account.total().saturating_sub(queue_bytes + index_bytes),
        }
    }
}

//! Snapshots: ranges of seqnos that are consistent only as a whole.
//!
//! A reader that has applied everything up to a range's end sees what the active saw then; inside a range it may miss
//! the revision that a later item of the same range replaced.

use crate::Seqno;

/// Where a snapshot's items come from. Snapshots of different types never share a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotType {
    /// From an active's memory.
    Memory,
    /// From disk: no de-duplication against it, and its completed seqno is part of it.
    Disk,
    /// From disk into an empty vBucket.
    InitialDisk,
}

impl SnapshotType {
    /// Whether the items were read from disk.
    #[must_use]
    pub const fn is_disk(self) -> bool {
        matches!(self, Self::Disk | Self::InitialDisk)
    }

    /// Its name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::InitialDisk => "initial-disk",
        }
    }
}

/// What announces a snapshot to a replica, before its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMarker {
    /// First seqno it may hold.
    pub start: Seqno,
    /// Last seqno; an item with it, or word that there is none, completes the snapshot.
    pub end: Seqno,
    /// Where its items come from.
    pub snapshot_type: SnapshotType,
    /// Highest visible seqno in it; `None` means `end`.
    pub visible: Option<Seqno>,
    /// Highest completed prepare; required for disk types.
    pub high_completed_seqno: Option<Seqno>,
    /// Highest prepared seqno, where the sender knows it.
    pub high_prepared_seqno: Option<Seqno>,
    /// Of a snapshot from disk: tombstones up to there may be gone from it.
    pub purge_seqno: Option<Seqno>,
    /// Continues the open memory snapshot instead of starting a checkpoint.
    pub extend: bool,
    /// The sender kept every revision.
    pub history: bool,
    /// A key may come more than once in it.
    pub may_repeat_keys: bool,
}

impl SnapshotMarker {
    /// A plain marker for `start..=end` of that type.
    #[must_use]
    pub const fn new(snapshot_type: SnapshotType, start: Seqno, end: Seqno) -> Self {
        Self {
            start,
            end,
            snapshot_type,
            visible: None,
            high_completed_seqno: None,
            high_prepared_seqno: None,
            purge_seqno: None,
            extend: false,
            history: false,
            may_repeat_keys: false,
        }
    }
}

/// The range of one checkpoint, as a batch reports it: as it was when the batch was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRange {
    /// Names the snapshot in its manager. Checkpoints that were closed while one snapshot was received share it; a marker
    /// that does not extend, and each checkpoint of an active, begins another.
    pub snapshot_id: u64,
    /// First seqno it may hold.
    pub start: Seqno,
    /// Last seqno it holds or will hold.
    pub end: Seqno,
    /// Highest seqno up to `end` that a reader without durable writes may see.
    pub visible: Seqno,
    /// Where its items come from.
    pub snapshot_type: SnapshotType,
    /// Every revision was kept.
    pub history: bool,
    /// A key may come more than once in it, as its marker said.
    pub may_repeat_keys: bool,
    /// Of a snapshot from disk what its marker said; otherwise the highest prepare that something up to `end` committed
    /// or aborted, if this manager has seen one.
    pub high_completed_seqno: Option<Seqno>,
    /// The highest prepare up to `end` that its marker named or this manager has seen.
    pub high_prepared_seqno: Option<Seqno>,
    /// As its marker had it.
    pub purge_seqno: Option<Seqno>,
    /// The last operation its checkpoint has had, read or not: equal to `end` when all of it is there. `None` where there
    /// was none yet.
    pub last: Option<Seqno>,
    /// Where its snapshot ended before it was extended, the last time.
    pub extended_from: Option<Seqno>,
}

impl SnapshotRange {
    /// Whether it was whole at `last` before it was extended, and nothing of the rest is there yet.
    #[must_use]
    pub fn awaits_extension(&self) -> bool {
        self.extended_from.is_some() && self.extended_from == self.last
    }

    /// Whether a reader that has everything up to `read` may get a key of it twice: its marker said so, or the reader takes a
    /// part of what it was before it was extended together with a part of the rest.
    #[must_use]
    pub fn may_repeat_keys_after(&self, read: Seqno) -> bool {
        let is_partial = self.last != Some(self.end);
        self.may_repeat_keys || is_partial && self.extended_from.is_some_and(|from| read < from)
    }
}

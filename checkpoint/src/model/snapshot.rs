//! Snapshots: ranges of seqnos that are consistent only as a whole.
//!
//! A reader that has applied everything up to a range's end sees the same documents as the active
//! at that seqno. Inside a range it may lack a revision that a later item of the range replaced.

use super::ids::Seqno;

/// The source of a snapshot's items. A snapshot from disk shares its batch with no other.
///
/// The protocol has these three, so a `match` may be exhaustive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotType {
    /// The memory of an active.
    Memory,
    /// The disk of an active. The queue does not de-duplicate the snapshot, and its marker has its
    /// completed seqno.
    Disk,
    /// The disk of an active, for an empty vBucket.
    InitialDisk,
}

impl SnapshotType {
    /// Returns whether the items were read from disk.
    #[must_use]
    pub const fn is_disk(self) -> bool {
        matches!(self, Self::Disk | Self::InitialDisk)
    }

    /// Returns the name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::InitialDisk => "initial-disk",
        }
    }
}

/// The announcement of a snapshot to a replica, before its items.
///
/// It is plain data, open to literals that end in `..SnapshotMarker::new(snapshot_type, start, end)`.
/// A later version may add fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMarker {
    /// First seqno that the snapshot may hold.
    pub start: Seqno,
    /// Last seqno. The item with it completes the snapshot, or a message that there is no such
    /// item.
    pub end: Seqno,
    /// Source of the items.
    pub snapshot_type: SnapshotType,
    /// Highest visible seqno in the snapshot; `None` means `end`.
    pub visible: Option<Seqno>,
    /// Highest completed prepare; required for disk types.
    pub high_completed_seqno: Option<Seqno>,
    /// Highest prepared seqno, if the sender knows it.
    pub high_prepared_seqno: Option<Seqno>,
    /// Seqno up to which tombstones may be missing from a disk snapshot.
    pub purge_seqno: Option<Seqno>,
    /// Whether the marker continues the open memory snapshot instead of starting a checkpoint.
    pub extend: bool,
    /// Whether the sender kept every revision.
    pub history: bool,
    /// Whether a key may occur more than once in the snapshot.
    pub may_repeat_keys: bool,
}

impl SnapshotMarker {
    /// Creates a plain marker for `start..=end` of that type.
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

/// The range of one checkpoint when a batch was read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRange {
    /// Id of the snapshot in its manager.
    ///
    /// Checkpoints that were closed while one snapshot was received share it. A marker that does
    /// not extend gets a new one, and so does each checkpoint of an active.
    pub snapshot_id: u64,
    /// First seqno that the checkpoint may hold.
    pub start: Seqno,
    /// Last seqno that the checkpoint holds or will hold.
    pub end: Seqno,
    /// Highest seqno up to `end` that a reader without durable writes may see.
    pub visible: Seqno,
    /// Source of the items.
    pub snapshot_type: SnapshotType,
    /// Whether every revision was kept.
    pub history: bool,
    /// Whether a key may occur more than once, according to the marker.
    pub may_repeat_keys: bool,
    /// Highest completed prepare.
    ///
    /// For a disk snapshot it is the marker's. Otherwise it is the highest prepare that an item up
    /// to `end` completed, if this manager has seen one.
    pub high_completed_seqno: Option<Seqno>,
    /// Highest prepare up to `end` that the marker named or this manager has seen.
    pub high_prepared_seqno: Option<Seqno>,
    /// Purge seqno of the marker.
    pub purge_seqno: Option<Seqno>,
    /// Last operation of the checkpoint, read or not; `None` if there was none yet. It equals `end`
    /// when the snapshot is complete.
    pub last: Option<Seqno>,
    /// End of the snapshot before its last extension.
    pub extended_from: Option<Seqno>,
}

impl SnapshotRange {
    /// Returns whether the snapshot was complete at `last` before it was extended, and no item of
    /// the extension is there yet.
    #[must_use]
    pub fn awaits_extension(&self) -> bool {
        self.extended_from.is_some() && self.extended_from == self.last
    }

    /// Returns the range without an extension of which nothing has arrived. The snapshot before the
    /// extension is complete, and the extension may never arrive: the active may have lost it.
    #[must_use]
    pub fn without_empty_extension(&self) -> Self {
        let end = self
            .last
            .filter(|_| self.awaits_extension())
            .unwrap_or(self.end);
        Self {
            end,
            visible: self.visible.min(end),
            ..*self
        }
    }

    /// Returns whether a reader that has everything up to `read` may get a key twice.
    ///
    /// There are two reasons. The marker allows it. Or the reader takes a part of the snapshot as it
    /// was before its extension, and a part of the extension with it.
    #[must_use]
    pub fn may_repeat_keys_after(&self, read: Seqno) -> bool {
        let is_partial = self.last != Some(self.end);
        self.may_repeat_keys || is_partial && self.extended_from.is_some_and(|from| read < from)
    }
}

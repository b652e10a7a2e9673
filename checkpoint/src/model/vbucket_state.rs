//! The state of a vBucket apart from its items, and what an item changes in it.
//!
//! A store commits the state with every batch, atomically, and a takeover sends it.

use super::failover_log::FailoverLog;
use super::ids::{Cas, Seqno};
use super::item::{Item, Operation};
use super::snapshot::SnapshotType;
use super::state::State;

/// Everything about a vBucket that is made durable with a batch of its items, atomically.
///
/// It is plain data: stores encode every field, so a `let` that takes it apart may be exhaustive and
/// reports a field that a later version adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VBucketState {
    /// Role of the vBucket.
    pub state: State,
    /// Branches of its history.
    pub failover_log: FailoverLog,
    /// Start of the snapshot that the highest persisted item belongs to. Equals the high seqno on an
    /// active.
    pub snapshot_start: Seqno,
    /// End of that snapshot. The snapshot is persisted whole when this equals the high seqno.
    pub snapshot_end: Seqno,
    /// Source of that snapshot.
    pub snapshot_type: SnapshotType,
    /// Highest seqno that a reader without durable writes may see.
    pub max_visible_seqno: Seqno,
    /// All prepares up to this one are committed or aborted.
    pub high_completed_seqno: Seqno,
    /// Highest prepare that met its own durability on this node. Every prepare up to the end of the
    /// last whole snapshot committed here has met it.
    pub high_prepared_seqno: Seqno,
    /// Highest prepare seen.
    pub prepared_seqno: Seqno,
    /// Highest CAS ever assigned or received. The clock continues from here.
    pub max_cas: Cas,
    /// Every CAS from this seqno on comes from the hybrid logical clock.
    pub hlc_epoch: Seqno,
    /// Highest revision number of any deleted document. A deletion that was replaced before it was
    /// read does not count. The item that replaced it has a higher revision, and counts if it is a
    /// deletion itself.
    pub max_deleted_rev_seqno: u64,
    /// Tombstones up to this seqno were already missing from the disk snapshots it was built from.
    pub purge_seqno: Seqno,
    /// Chains of node names that must acknowledge durable writes. Empty when unknown.
    pub replication_topology: Vec<Vec<String>>,
}

impl VBucketState {
    /// Creates the state of a vBucket without history.
    #[must_use]
    pub fn new(state: State, failover_log: FailoverLog) -> Self {
        Self {
            state,
            failover_log,
            snapshot_start: Seqno::ZERO,
            snapshot_end: Seqno::ZERO,
            snapshot_type: SnapshotType::Memory,
            max_visible_seqno: Seqno::ZERO,
            high_completed_seqno: Seqno::ZERO,
            high_prepared_seqno: Seqno::ZERO,
            prepared_seqno: Seqno::ZERO,
            max_cas: Cas(0),
            hlc_epoch: Seqno(1),
            max_deleted_rev_seqno: 0,
            purge_seqno: Seqno::ZERO,
            replication_topology: Vec::new(),
        }
    }

    /// Applies an item with that seqno. None of the seqnos falls.
    ///
    /// Completions in a snapshot from disk do not count: its marker names the completed seqno.
    pub(crate) fn apply(&mut self, update: StateUpdate, seqno: Seqno, source: SnapshotType) {
        if let Operation::SetVBucketState(_) = update.operation {
            // The only item that may set the clock back: a user forced it. 0 is no CAS.
            if update.cas != Cas(0) {
                self.max_cas = update.cas;
            }
            return;
        }
        self.max_cas = self.max_cas.max(update.cas);
        self.max_deleted_rev_seqno = self.max_deleted_rev_seqno.max(update.deleted_rev_seqno);
        if update.operation == Operation::Prepare {
            self.prepared_seqno = self.prepared_seqno.max(seqno);
        }
        if update.is_completion() && !source.is_disk() {
            self.high_completed_seqno = self.high_completed_seqno.max(update.prepare_seqno);
        }
        if update.operation.is_visible() {
            self.max_visible_seqno = self.max_visible_seqno.max(seqno);
        }
    }
}

/// The changes that one item makes to its vBucket's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateUpdate {
    pub(crate) operation: Operation,
    pub(crate) cas: Cas,
    pub(crate) prepare_seqno: Seqno,
    deleted_rev_seqno: u64,
}

impl StateUpdate {
    /// Extracts the changes from `item`, which is about to be moved into the queue.
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            operation: item.operation,
            cas: item.cas,
            prepare_seqno: item.prepare_seqno,
            deleted_rev_seqno: if item.deleted { item.rev_seqno } else { 0 },
        }
    }

    /// Returns whether the item commits or aborts a prepare.
    pub(crate) const fn is_completion(&self) -> bool {
        matches!(self.operation, Operation::Commit | Operation::Abort)
    }
}

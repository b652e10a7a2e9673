//! What a vBucket is, apart from its items: the data that is committed with every batch and sent in takeovers.

use std::fmt;

use crate::{Cas, FailoverLog, Item, Operation, Seqno, SnapshotType};

/// A vBucket's role on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes writes and assigns seqnos.
    Active,
    /// Follows an active.
    Replica,
    /// About to become active.
    Pending,
    /// On its way out: serves nobody.
    Dead,
}

impl State {
    /// The protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replica => "replica",
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }

    /// The state with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Replica, Self::Pending, Self::Dead]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything about a vBucket that is made durable with a batch of its items, atomically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VBucketState {
    /// Its role.
    pub state: State,
    /// The branches of its history.
    pub failover_log: FailoverLog,
    /// Start of the snapshot the highest persisted item belongs to; equals the high seqno on an active.
    pub snapshot_start: Seqno,
    /// End of that snapshot. Persisted whole when it equals the high seqno.
    pub snapshot_end: Seqno,
    /// Where the snapshot came from.
    pub snapshot_type: SnapshotType,
    /// Highest seqno a reader without durable writes may see.
    pub max_visible_seqno: Seqno,
    /// All prepares up to this one are committed or aborted.
    pub high_completed_seqno: Seqno,
    /// Highest prepare that met its own durability on this node: with what is committed here, every prepare up to the end
    /// of the last whole snapshot has.
    pub high_prepared_seqno: Seqno,
    /// Highest prepare seen.
    pub prepared_seqno: Seqno,
    /// Highest CAS ever; the clock goes on from here.
    pub max_cas: Cas,
    /// From this seqno on every CAS comes from the hybrid logical clock.
    pub hlc_epoch: Seqno,
    /// Highest revision number of any deleted document. A deletion that was replaced before it was read does not count:
    /// what took its place has a higher revision, and counts if it is deleted itself.
    pub max_deleted_rev_seqno: u64,
    /// Tombstones up to there were gone already from the snapshots from disk that it was made of.
    pub purge_seqno: Seqno,
    /// Chains of node names that must acknowledge durable writes; empty when nobody said.
    pub replication_topology: Vec<Vec<String>>,
}

impl VBucketState {
    /// A vBucket without history in that state.
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
}

/// What an item changes in its vBucket's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) operation: Operation,
    pub(crate) cas: Cas,
    pub(crate) prepare_seqno: Seqno,
    deleted_rev_seqno: u64,
}

impl Note {
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            operation: item.operation,
            cas: item.cas,
            prepare_seqno: item.prepare_seqno,
            deleted_rev_seqno: if item.deleted { item.rev_seqno } else { 0 },
        }
    }

    /// Whether it ends a prepare.
    pub(crate) const fn is_completion(&self) -> bool {
        matches!(self.operation, Operation::Commit | Operation::Abort)
    }
}

impl VBucketState {
    /// Takes note of an item with that seqno; none of the seqnos falls. What a snapshot from disk has completed says its
    /// marker, not its items.
    pub(crate) fn take_note(&mut self, note: Note, seqno: Seqno, from: SnapshotType) {
        if let Operation::SetVBucketState(_) = note.operation {
            // The one thing that may take the clock back: somebody wanted that.
            self.max_cas = if note.cas == Cas(0) {
                self.max_cas
            } else {
                note.cas
            };
            return;
        }
        self.max_cas = self.max_cas.max(note.cas);
        self.max_deleted_rev_seqno = self.max_deleted_rev_seqno.max(note.deleted_rev_seqno);
        if note.operation == Operation::Prepare {
            self.prepared_seqno = self.prepared_seqno.max(seqno);
        }
        if note.is_completion() && !from.is_disk() {
            self.high_completed_seqno = self.high_completed_seqno.max(note.prepare_seqno);
        }
        if note.operation.is_visible() {
            self.max_visible_seqno = self.max_visible_seqno.max(seqno);
        }
    }
}

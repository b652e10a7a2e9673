//! The contract of a storage engine: it takes batches and serves reads of points and ranges, by key
//! and by seqno.
//!
//! An engine is one store directory with any number of vBuckets. It owns no threads and reads no
//! clock. Its promises are numbered as in `docs/invariants.md`. One conformance suite tests them on
//! every engine.
//!
//! # Invariants
//!
//! 1. *Order.* Seqnos in a batch strictly increase and exceed the vBucket's high seqno; otherwise
//!    the commit fails and changes nothing. Of two items with one key and name space the later one
//!    wins, and the other is visible nowhere.
//! 2. *Atomicity.* A commit that returned an error is invisible. After a restart it exists as a
//!    whole or not at all. Once a later batch of that vBucket has committed, it is gone for ever.
//! 3. *Snapshots.* A scan of a snapshot at S returns, ascending, each key's newest revision at or
//!    below S. It returns nothing later and nothing superseded, and commits made meanwhile don't
//!    change it.
//! 4. *No return.* Items that were dropped, purged or rolled back never come back.
//! 5. *Poison.* After a failed sync the store refuses writes until it is reopened. Reads go on.
//! 6. *Durability.* An acknowledged commit survives power loss at any instant.
//! 7. *Rollback.* A rollback restores exactly the newest committed state at or below the requested
//!    seqno that the engine still has, less the tombstones purged since, and returns its seqno. A
//!    state that an earlier rollback undid does not count, pinned or not. If there is no such
//!    state, it returns that and changes nothing.
//! 8. *Purge.* A purge leaves no tombstone at or below the purge seqno visible, except those that
//!    were the highest seqno of their vBucket or (where
//!    [`Capabilities::keeps_collections_highest`]) of their collection. The next purge removes such
//!    a tombstone if it is no longer the highest. High seqnos therefore do not change. System
//!    events belong to no collection.
//! 9. *Three views.* A scan by seqno (of items or visited), a scan by key and a count see the same
//!    rows.
//! 10. *Groups.* A call that commits several batches returns the result that each would have alone,
//!     in the batches' order, on any executor. After a batch that was not committed, no other batch
//!     of its vBucket is.
//! 11. *One bad file.* A vBucket that can't be read is listed and answers every call with the
//!     damage. The others serve. It can be dropped.

use std::fmt;
use std::path::PathBuf;

use lowtide_checkpoint::{Item, ItemLimits, Key, Namespace, Seqno, VBucketState, Vbid};

use super::error::EngineError;
use super::job::{CompactionRequest, Job};
use super::snapshot::Snapshot;
use super::stats::{EngineStats, VBucketInfo};

/// The items of one vBucket that become durable together, with the vBucket's state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommitBatch<'a> {
    /// The vBucket.
    pub vb: Vbid,
    /// The items, ascending by seqno. If several have one key and name space, only the last is
    /// kept. If empty, only the state is committed. vBucket state items are skipped: `state`
    /// replaces them.
    pub items: &'a [&'a Item],
    /// The vBucket's state once these items are committed.
    pub state: &'a VBucketState,
    /// The host's time in nanoseconds since the epoch.
    pub timestamp: u64,
}

impl<'a> CommitBatch<'a> {
    /// Returns a batch with timestamp 0: tombstones of such a vBucket have no age.
    #[must_use]
    pub const fn new(vb: Vbid, items: &'a [&'a Item], state: &'a VBucketState) -> Self {
        Self {
            vb,
            items,
            state,
            timestamp: 0,
        }
    }

    /// Sets the host's time, in nanoseconds since the epoch.
    #[must_use]
    pub const fn with_timestamp(self, timestamp: u64) -> Self {
        Self { timestamp, ..self }
    }
}

/// The result of a committed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The vBucket's high seqno after the commit.
    pub high: Seqno,
    /// The number of items written; less than the batch's if a key occurs twice.
    pub items: usize,
}

impl Committed {
    /// Returns the result of a commit, for engines.
    #[must_use]
    pub const fn new(high: Seqno, items: usize) -> Self {
        Self { high, items }
    }
}

/// The limits and abilities of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The limits of an item: every item within them is stored, in any name space. A vBucket that
    /// this engine persists is to be created with them. An item that can't be stored is then
    /// refused when it is written.
    pub limits: ItemLimits,
    /// The earlier states that [`Engine::rollback`] can return to.
    pub history: RetainedHistory,
    /// Whether a purge spares a tombstone that is its collection's highest seqno, so that this
    /// seqno stays known.
    pub keeps_collections_highest: bool,
    /// Whether a get of a key that is not there reads the disk. A host keeps a filter of keys then.
    pub reads_for_absent_keys: bool,
}

impl Capabilities {
    /// Returns the limits and the retained history of an engine whose purges spare no tombstone but
    /// the vBucket's highest.
    #[must_use]
    pub const fn new(limits: ItemLimits, history: RetainedHistory) -> Self {
        Self {
            limits,
            history,
            keeps_collections_highest: false,
            reads_for_absent_keys: false,
        }
    }

    /// Sets whether a purge spares the tombstone that is its collection's highest seqno.
    #[must_use]
    pub const fn with_collections_highest(self, keeps_collections_highest: bool) -> Self {
        Self {
            keeps_collections_highest,
            ..self
        }
    }

    /// Sets whether a get of a key that is not there reads the disk.
    #[must_use]
    pub const fn with_reads_for_absent_keys(self, reads_for_absent_keys: bool) -> Self {
        Self {
            reads_for_absent_keys,
            ..self
        }
    }
}

/// The earlier states of a vBucket that an engine still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetainedHistory {
    /// Every commit since the vBucket was created or last compacted; until the first compaction
    /// also the empty state.
    SinceCompaction,
    /// The commits pinned by a snapshot, while it lasts; at first also the empty state, if a
    /// snapshot was taken then. A rollback to any other state needs a reset.
    Pinned,
}

/// The result of a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// The vBucket is as it was at a commit.
    Done {
        /// That commit's high seqno, and the vBucket's now: the next seqno exceeds it.
        high: Seqno,
    },
    /// The engine has no state that old; nothing has changed. A caller that must go back that far
    /// drops the vBucket.
    NeedsReset {
        /// The high seqno of the oldest state it has.
        lowest: Seqno,
    },
}

/// A store of many vBuckets in one directory.
///
/// Every operation on a store that was closed returns [`EngineError::Closed`].
pub trait Engine: Send + Sync + fmt::Debug {
    /// Returns its name on command lines.
    fn name(&self) -> &'static str;

    /// Returns its limits and abilities.
    fn capabilities(&self) -> Capabilities;

    /// Creates an empty vBucket, durably. After an error or power loss it exists as a whole or not
    /// at all.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn create(&self, vb: Vbid) -> Result<(), EngineError>;

    /// Removes a vBucket, durably, even one that can't be read. Snapshots of it stay valid.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError>;

    /// Returns the vBuckets it has, ascending.
    fn vbuckets(&self) -> Vec<Vbid>;

    /// Commits batches, each atomic by itself. Returns one result per batch, in their order; a
    /// batch is durable and visible if its result is `Ok`. Several batches of one vBucket are
    /// committed one after the other, as by separate calls. After one that failed, the rest get
    /// [`EngineError::EarlierBatchFailed`].
    fn commit(&self, batches: &[CommitBatch<'_>]) -> Vec<Result<Committed, EngineError>>;

    /// Restores the newest committed state at or below `to` that the engine still has: its rows,
    /// its figures and the vBucket state committed with it. Tombstones purged since stay away: the
    /// purge seqno may be higher than it was. Durable on return; later commits are gone for good.
    /// Snapshots pinned before stay valid. At or above the high seqno it changes nothing.
    ///
    /// The caller commits the consequences for the failover log: the restored state may name
    /// branches that begin later.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`], [`EngineError::Corrupt`] or
    /// [`EngineError::Disk`]: nothing has changed; after a restart it is done as a whole or not at
    /// all.
    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError>;

    /// Removes the tombstones (deletions, expirations, aborts) at or below `upto`, durably, except
    /// those that are the highest seqno of their vBucket or collection. Returns the highest seqno
    /// of a tombstone ever purged, 0 if none. Snapshots pinned before keep theirs. The space may be
    /// freed later. Uses memory for the rows it removes.
    ///
    /// # Errors
    /// Same as [`Engine::rollback`].
    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError>;

    /// Returns the newest committed revision of a key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn get(&self, vb: Vbid, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.snapshot(vb)?.get(namespace, key)
    }

    /// Pins the vBucket as it is now.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError>;

    /// Returns the vBucket's figures.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError>;

    /// Starts a job that frees the space of a vBucket's superseded revisions, and of the items that
    /// the request names. Readers keep their snapshots and commits go on; see [`Job`].
    ///
    /// Snapshots that are pinned from now on may lack purged tombstones, also before the job's first
    /// step. [`Engine::info`] says up to which seqno.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`], [`EngineError::UnknownVBucket`],
    /// [`EngineError::Poisoned`] or [`EngineError::Unsupported`].
    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError>;

    /// Returns the maintenance that the engine's configuration asks for now, if any. Ask again when
    /// the job is done. After a job that failed, some time should pass.
    fn maintenance(&self) -> Option<Box<dyn Job>>;

    /// Verifies everything that the vBucket's newest commit consists of. Returns the damage, one
    /// line for each finding. Reads all of it: O(bytes).
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`] or [`EngineError::Disk`].
    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError>;

    /// Returns the store's figures. Reads no file and loads no index. A closed store has none.
    fn stats(&self) -> EngineStats;

    /// Makes everything written durable and closes the files. Snapshots stay valid. Closing again
    /// does nothing.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; acknowledged commits are safe nevertheless.
    fn close(&self) -> Result<(), EngineError>;
}

/// The findings of opening a store, and the repairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The number of vBuckets found, unreadable ones included.
    pub vbuckets: usize,
    /// The vBuckets that can't be read, each with its damage: file, offset and finding. The others
    /// serve.
    pub unreadable: Vec<(Vbid, String)>,
    /// One line for each repair, cut or removal: which file, and what was done.
    pub repairs: Vec<(PathBuf, String)>,
    /// Other findings, one line each: the sources that were read, and those that were not relied
    /// on.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use lowtide_checkpoint::{FailoverLog, State, VbUuid};

    use super::*;

    #[test]
    fn setter_of_a_batch_sets_its_timestamp_alone() {
        let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(2)));
        let CommitBatch {
            vb,
            items,
            state: committed,
            timestamp,
        } = CommitBatch::new(Vbid(1), &[], &state).with_timestamp(3);
        assert_eq!((vb, items.len(), timestamp), (Vbid(1), 0, 3));
        assert!(std::ptr::eq(committed, &state));
    }

    #[test]
    fn each_setter_of_capabilities_sets_its_own_field() {
        let (limits, history) = (ItemLimits::NONE, RetainedHistory::Pinned);
        assert_eq!(
            Capabilities::new(limits, history).with_collections_highest(true),
            Capabilities {
                limits,
                history,
                keeps_collections_highest: true,
                reads_for_absent_keys: false,
            }
        );
        assert_eq!(
            Capabilities::new(limits, history).with_reads_for_absent_keys(true),
            Capabilities {
                limits,
                history,
                keeps_collections_highest: false,
                reads_for_absent_keys: true,
            }
        );
    }
}

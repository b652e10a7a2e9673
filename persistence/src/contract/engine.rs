//! The contract of a storage engine: batches in, points and scans out, by key and by seqno.
//!
//! One engine is one store directory with any number of vBuckets. It owns no threads and reads no clock. Promises,
//! numbered as in `docs/invariants.md`, tested by one conformance suite on every engine:
//!
//! 1. *Order.* Seqnos in a batch strictly increase and exceed the vBucket's high seqno, else an error and no change.
//!    Of two items with one key and name space the later wins, and the other is visible nowhere.
//! 2. *Atomicity.* A commit that returned an error is invisible; after a restart it is there as a whole or not at all;
//!    once a later batch of that vBucket has committed it is gone for ever.
//! 3. *Snapshots.* A scan of a snapshot at S gives, ascending, for each key its newest revision at or below S: nothing
//!    later, nothing superseded, whatever is committed meanwhile.
//! 4. *No return.* What was dropped, purged or rolled back never comes back.
//! 5. *Poison.* After a failed sync the store refuses writes until it is reopened; reads go on.
//! 6. *Durability.* What was acknowledged survives power loss at any instant.
//! 7. *Rollback.* It restores exactly the newest committed state at or below what was asked that the engine still has,
//!    less what was purged since, and says which; or it says that there is none, and changes nothing.
//! 8. *Purge.* No tombstone at or below the purge seqno is shown any more but one that was the vBucket's highest seqno,
//!    or (where [`Capabilities::keeps_collections_highest`]) its collection's, when the others were purged: the next purge
//!    takes it if it no longer is. So these high seqnos do not change. System events are in no collection.
//! 9. *Three views.* A scan by seqno, item by item or shown, a scan by key and a count show the same rows.
//! 10. *Groups.* A call that commits several batches gives the result each would have alone, in the batches' order,
//!     whoever runs it; of one vBucket's batches none is committed after one that was not.
//! 11. *One bad file.* A vBucket that can't be read is there and answers everything with what is wrong; the others serve.
//!     It can be dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;

use lowtide_checkpoint::{Item, ItemLimits, Key, Namespace, Seqno, VBucketState, Vbid};

use super::error::EngineError;
use super::item_ref::ItemRef;
use super::job::{CompactionRequest, Job};

/// The items of one vBucket that become durable together, and its state with them.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// The vBucket.
    pub vb: Vbid,
    /// Ascending by seqno. Of several with one key and name space only the last is kept. May be empty: then only the
    /// state is committed. vBucket state items are skipped: `state` speaks for them.
    pub items: &'a [&'a Item],
    /// What is true of the vBucket once these items are in.
    pub state: &'a VBucketState,
    /// When, in nanoseconds since the epoch, as the host's clock has it.
    pub timestamp: u64,
}

/// What a committed batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The vBucket's high seqno now.
    pub high: Seqno,
    /// Items written; less than the batch's where a key came twice.
    pub items: usize,
}

/// A vBucket's figures, from the last commit; O(1) for every engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VBucketInfo {
    /// Highest seqno ever committed.
    pub high: Seqno,
    /// Highest tombstone that was purged from this history; 0 if none.
    pub purge: Seqno,
    /// Live documents and prepares.
    pub items: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// What can be asked of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What an item may be: every one within these limits is stored, whatever its name space. A vBucket that this engine persists
    /// is to be made with them, so that what can't be stored is refused when it is written.
    pub limits: ItemLimits,
    /// How far back [`Engine::rollback`] can go.
    pub history: History,
    /// Whether a purge spares a tombstone that is its collection's highest seqno, so that this stays known.
    pub keeps_collections_highest: bool,
}

/// Which earlier states of a vBucket an engine still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum History {
    /// Every commit since the vBucket was created or last compacted; at first also the empty state.
    SinceCompaction,
    /// The commits that a snapshot pins, as long as it does; at first also the empty state, if one was taken then. A
    /// rollback elsewhere needs a reset.
    Pinned,
}

/// What a rollback did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// The vBucket is as it was at a commit.
    Done {
        /// That commit's high seqno, and the vBucket's now: the next seqno exceeds it.
        high: Seqno,
    },
    /// The engine has no state that old; nothing has changed. Whoever must go back so far drops the vBucket.
    NeedsReset {
        /// The high seqno of the oldest state it has.
        lowest: Seqno,
    },
}

/// How much of a scan is wanted at once. A slice ends at the first limit it reaches and holds at least one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// At most so many items.
    pub items: usize,
    /// No further item once keys and values come to so many bytes.
    pub bytes: usize,
}

impl ScanLimit {
    /// Everything at once.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: usize::MAX,
    };
}

/// What is read at once to be shown.
const VISITED_TOGETHER: ScanLimit = ScanLimit {
    items: usize::MAX,
    bytes: 1 << 20,
};

/// A part of a scan.
#[derive(Clone, Debug, Default)]
pub struct ScanSlice {
    /// Ascending by seqno. Small values may share memory: one that is kept alone keeps up to 4 KiB with it.
    pub items: Vec<Item>,
    /// Where to go on, or `None` at the end.
    pub next: Option<Seqno>,
}

/// The keys of a scan by key: one name space, ascending by the keys' encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The name space.
    pub namespace: Namespace,
    /// The first key, or where it would be.
    pub from: Key,
    /// No key from here on; `None` for all to the last.
    pub to: Option<Key>,
}

impl KeyRange {
    /// All keys of a name space.
    #[must_use]
    pub fn all(namespace: Namespace) -> Self {
        // The default collection's prefix is the lowest there is.
        Self {
            namespace,
            from: Key::new(b""),
            to: None,
        }
    }
}

/// A part of a scan by key.
#[derive(Clone, Debug, Default)]
pub struct KeySlice {
    /// Ascending by key.
    pub items: Vec<Item>,
    /// Where to go on, or `None` at the end.
    pub next: Option<Key>,
}

/// A vBucket as it was at one commit, whatever has come since. Reads may run beside commits.
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// The high seqno it was taken at.
    fn high(&self) -> Seqno;

    /// The state committed with it; `None` before the first commit.
    fn state(&self) -> Option<&VBucketState>;

    /// The figures at that commit.
    fn info(&self) -> VBucketInfo;

    /// The newest revision of a key at or below [`Snapshot::high`], tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError>;

    /// The newest revision of every key with a seqno in `from..=to`, ascending, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError>;

    /// Shows what a scan of `from..=to` without limits has, in its order, to who keeps none of it, until `see` breaks off:
    /// cheaper than [`Snapshot::scan`] where the engine need not make items for it. O(rows shown and their bytes).
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`]: what was shown before is sound.
    fn visit(
        &self,
        from: Seqno,
        to: Seqno,
        see: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut next = Some(from);
        while let Some(from) = next {
            let slice = self.scan(from, to, VISITED_TOGETHER)?;
            if slice.items.iter().any(|item| see(item.into()).is_break()) {
                break;
            }
            next = slice.next;
        }
        Ok(())
    }

    /// The newest revision of every key in a range, ascending by key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn scan_keys(&self, range: &KeyRange, limit: ScanLimit) -> Result<KeySlice, EngineError>;

    /// How many items a scan of `from..=to` has, without reading them: O(log n) where the engine has sums by seqno, else a
    /// walk over its index in memory.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError>;
}

/// A store of many vBuckets in one directory.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Its name on command lines.
    fn name(&self) -> &'static str;

    /// What can be asked of it.
    fn capabilities(&self) -> Capabilities;

    /// Makes an empty vBucket, durably: after an error, or power loss, it is there as a whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn create(&self, vb: Vbid) -> Result<(), EngineError>;

    /// Removes a vBucket, durably, also one that can't be read. Snapshots of it stay valid.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError>;

    /// The vBuckets it has, ascending.
    fn vbuckets(&self) -> Vec<Vbid>;

    /// Commits batches; each is atomic by itself. Durable and visible where the result is `Ok`. One result per batch, in
    /// their order. Several batches of one vBucket are committed one after the other, as so many calls would, but that
    /// after one that failed the rest get [`EngineError::EarlierBatchFailed`].
    fn commit(&self, batches: &[Batch<'_>]) -> Vec<Result<Committed, EngineError>>;

    /// Goes back to the newest committed state at or below `to` that the engine still has: its rows, its figures and the
    /// vBucket state that was committed with it. Tombstones purged since stay away, so that the purge seqno may be higher
    /// than it was. Durable when it returns; what came after is gone for good. Snapshots pinned before stay valid. At or
    /// above the high seqno it changes nothing.
    ///
    /// What follows from it in the failover log is the caller's to commit: the restored state may name branches that
    /// begin later.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`], [`EngineError::Corrupt`] or [`EngineError::Disk`]:
    /// nothing has changed; after a restart it is done as a whole or not at all.
    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError>;

    /// Removes the tombstones (deletions, expirations, aborts) at or below `upto`, durably, but for those that are
    /// the vBucket's highest seqno or their collection's. Returns the highest tombstone ever purged, 0 if none. Snapshots pinned before keep theirs.
    /// The space may come back later. Takes the memory of the rows it removes.
    ///
    /// # Errors
    /// As [`Engine::rollback`].
    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError>;

    /// The newest committed revision of a key, tombstones included.
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

    /// The vBucket's figures.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError>;

    /// Begins to give back the space of a vBucket's superseded revisions, and of what the request names. Readers keep
    /// their snapshots, commits go on; see [`Job`].
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`], [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`] or
    /// [`EngineError::Unsupported`].
    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError>;

    /// Upkeep that the engine's configuration asks for now, if any; ask again when the job is done. After a job that
    /// failed, some time should pass.
    fn maintenance(&self) -> Option<Box<dyn Job>>;

    /// Verifies everything that the vBucket's newest commit consists of; returns what is wrong, a line each. Reads all
    /// of it: O(bytes).
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`] or [`EngineError::Disk`].
    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError>;

    /// The engine's own counters, by name.
    fn stats(&self) -> BTreeMap<&'static str, u64>;

    /// Makes everything written durable and lets go of the files. The engine takes no writes afterwards.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; what was acknowledged is safe all the same.
    fn close(&self) -> Result<(), EngineError>;
}

/// What opening a store found, and did about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// vBuckets found, those that can't be read included.
    pub vbuckets: usize,
    /// vBuckets that can't be read, and why: file, offset, what is wrong there. The others serve.
    pub unreadable: Vec<(Vbid, String)>,
    /// One line for each thing that was repaired, cut off or removed: which file, and what.
    pub repairs: Vec<(PathBuf, String)>,
    /// What else is worth knowing, a line each: what was read, and what was not relied on.
    pub notes: Vec<String>,
}

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

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use checkpoint::{Item, Key, Namespace, Seqno, VBucketState, Vbid};

use crate::EngineError;

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
    /// Highest tombstone ever purged; 0 if none.
    pub purge: Seqno,
    /// Live documents and prepares.
    pub items: u64,
    /// Tombstones.
    pub deleted: u64,
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
    pub const NONE: Self = Self { items: usize::MAX, bytes: usize::MAX };
}

/// A part of a scan.
#[derive(Clone, Debug, Default)]
pub struct ScanSlice {
    /// Ascending by seqno.
    pub items: Vec<Item>,
    /// Where to go on, or `None` at the end.
    pub next: Option<Seqno>,
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
}

/// A store of many vBuckets in one directory.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Its name on command lines.
    fn name(&self) -> &'static str;

    /// Makes an empty vBucket, durably: after an error, or power loss, it is there as a whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn create(&self, vb: Vbid) -> Result<(), EngineError>;

    /// Removes a vBucket, durably. Snapshots of it stay valid.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Poisoned`] or [`EngineError::Disk`].
    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError>;

    /// The vBuckets it has, ascending.
    fn vbuckets(&self) -> Vec<Vbid>;

    /// Commits batches of different vBuckets; each is atomic by itself. Durable and visible where the result is `Ok`.
    /// One result per batch, in their order.
    fn commit(&self, batches: &[Batch<'_>]) -> Vec<Result<Committed, EngineError>>;

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
    /// vBuckets found.
    pub vbuckets: usize,
    /// One line for each thing that was repaired, cut off or removed: which file, and what.
    pub repairs: Vec<(PathBuf, String)>,
}

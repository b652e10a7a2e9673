//! An in-memory checkpoint manager: a partition's recent changes in order, for any number of cursors.
//!
//! ```text
//!             queue                                                     read (whole checkpoints)
//!  operation ------> | closed checkpoint | open checkpoint        | ------------> batch
//!                    ^                ^                        ^
//!                    base (dummy)     a cursor                 another cursor
//! ```
//!
//! Writes enter at one end. Every consumer (a flusher, a replica's stream, an indexer) has a cursor
//! and reads at its own pace. A newer revision of a key replaces an older one that is still in the
//! open checkpoint. Items that every cursor has passed are expelled. A batch is a consistent
//! snapshot that is walked without any lock.
//!
//! ```
//! use bytes::Bytes;
//! use lowtide_checkpoint::{
//!     CheckpointConfig, CheckpointManager, CursorOptions, Item, Key, ReadLimit, Seqno,
//! };
//!
//! # fn main() -> Result<(), lowtide_checkpoint::CheckpointError> {
//! let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
//! let indexer = manager.register("indexer", Seqno::ZERO, CursorOptions::new())?.cursor;
//! for (key, value) in [("apple", "1"), ("pear", "2"), ("apple", "3")] {
//!     manager.queue(Item::mutation(Key::new(key.as_bytes()), Bytes::from(value)))?;
//! }
//! let batch = manager.read(indexer, ReadLimit::NONE)?;
//! let read: Vec<_> = batch.items().map(|item| (item.key.to_string(), item.seqno.0)).collect();
//! assert_eq!(read, [("pear".to_owned(), 2), ("apple".to_owned(), 3)]); // apple @1 was replaced
//! assert_eq!(manager.expel(), 2); // every cursor has passed both
//! # Ok(())
//! # }
//! ```
//!
//! The crate has no files, sockets, clocks, threads or randomness: callers pass in time and uuids,
//! and the same calls give the same results. It is not a log: replaced revisions are gone. It is
//! not a channel: a late consumer may need a backfill from elsewhere, and learns which seqnos to
//! fetch. It is not durable by itself: `lowtide-persistence` is.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod error;
#[cfg(any(checkpoint_loom, feature = "faults"))]
#[doc(hidden)]
pub mod fault;
#[cfg(not(any(checkpoint_loom, feature = "faults")))]
mod fault;
#[doc(hidden)]
pub mod internal;
mod limits;
mod manager;
mod memory;
mod model;
mod queue;
mod reclaim;
mod resume;
mod subscription;
mod vbucket;

pub use error::CheckpointError;
pub use limits::ItemLimits;
pub use manager::{
    CheckpointConfig, CheckpointInfo, CheckpointManager, CheckpointStats, Cursor, CursorBatch,
    CursorInfo, CursorOptions, Effect, Flush, MemoryRecovery, PERSISTENCE, Queued, ReadLimit,
    Registration, Role,
};
pub use memory::{MemoryState, Quota, QuotaConfig, QuotaStats};
pub use model::{
    Cas, Datatype, DurabilityLevel, FailoverEntry, FailoverLog, FailoverLogError, Item, ItemRef,
    Key, Namespace, Operation, Seqno, SnapshotMarker, SnapshotRange, SnapshotType, State,
    VBucketState, VbUuid, Vbid,
};
pub use reclaim::Reclaimer;
pub use resume::{ResumePoint, ResumeRequest, ServedHistory, may_lack_purged};
pub use subscription::{Backfill, Stopper, Subscription, SubscriptionEvent, WaitSet};
pub use vbucket::{AfterStop, VBucket, VBucketError, Written};

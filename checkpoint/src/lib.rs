//! An in-memory checkpoint manager: a partition's recent changes in order, for any number of cursors.
//!
//! ```text
//!             queue                                                     read (whole checkpoints)
//!  operation ------> | closed checkpoint | open checkpoint        | ------------> batch
//!                    ^                ^                        ^
//!                    base (dummy)     a cursor                 another cursor
//! ```
//!
//! Writes go in at one end. Every consumer (a flusher, a replica's stream, an indexer) has a cursor and reads at its
//! own pace; a newer revision of a key replaces an older one that is still in the open checkpoint; what every cursor
//! has passed is expelled. A batch is a consistent snapshot that is walked without any lock.
//!
//! ```
//! use bytes::Bytes;
//! use lowtide_checkpoint::{CheckpointConfig, CheckpointManager, Item, Key, ReadLimit, Seqno};
//!
//! # fn main() -> Result<(), lowtide_checkpoint::CheckpointError> {
//! let manager = CheckpointManager::new(CheckpointConfig::default(), Seqno::ZERO);
//! let indexer = manager.register("indexer", Seqno::ZERO, true)?.cursor;
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
//! It has no files, sockets, clocks, threads or randomness: time and uuids are passed in, so that the same calls give
//! the same results. It is not a log (replaced revisions are gone), not a channel (a late consumer may need a backfill
//! from elsewhere, and is told so), and not durable by itself: that is what `lowtide-persistence` is for.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod account;
mod batch;
mod checkpoint;
mod cursor;
mod error;
mod failover_log;
#[cfg(any(checkpoint_loom, feature = "faults"))]
#[doc(hidden)]
pub mod fault;
#[cfg(not(any(checkpoint_loom, feature = "faults")))]
mod fault;
mod garbage;
mod hlc;
mod ids;
mod index;
mod item;
mod key;
mod limits;
mod manager;
mod queue;
mod quota;
mod reclaimer;
mod resume;
mod snapshot;
mod state;
mod subscription;
mod sync;
mod tail;
mod vbucket;

pub use batch::{Batch, ReadLimit};
pub use cursor::{Cursor, CursorInfo, Registration};
pub use error::CheckpointError;
pub use failover_log::{FailoverEntry, FailoverLog, FailoverLogError};
pub use ids::{Cas, Seqno, VbUuid, Vbid};
pub use item::{Datatype, DurabilityLevel, Item, Namespace, Operation};
pub use key::Key;
pub use limits::ItemLimits;
pub use manager::{
    CheckpointConfig, CheckpointInfo, CheckpointManager, CheckpointStats, Effect, Flush,
    PERSISTENCE, Queued, Recovered, Role,
};
pub use quota::{MemoryState, Quota, QuotaConfig, QuotaStats};
pub use reclaimer::Reclaimer;
pub use resume::{History, ResumePoint, ResumeRequest, may_lack_purged};
pub use snapshot::{SnapshotMarker, SnapshotRange, SnapshotType};
pub use state::{State, VBucketState};
pub use subscription::{Backfill, Next, Stopper, Subscription};
pub use vbucket::{AfterStop, VBucket, VBucketError, Written};

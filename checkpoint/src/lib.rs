//! Lowtide's checkpoint manager.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod account;
mod batch;
mod checkpoint;
mod cursor;
mod error;
mod failover_log;
mod hlc;
mod ids;
mod index;
mod item;
mod key;
mod manager;
mod queue;
mod snapshot;
mod state;
mod sync;
mod vbucket;

pub use batch::{Batch, ReadLimit};
pub use cursor::{Cursor, CursorInfo, Registration};
pub use error::CheckpointError;
pub use failover_log::{FailoverEntry, FailoverLog, FailoverLogError};
pub use ids::{Cas, Seqno, VbUuid, Vbid};
pub use item::{Datatype, DurabilityLevel, Item, Namespace, Operation};
pub use key::Key;
pub use manager::{
    CheckpointConfig, CheckpointManager, CheckpointStats, Effect, Flush, PERSISTENCE, Queued, Role,
};
pub use snapshot::{SnapshotMarker, SnapshotRange, SnapshotType};
pub use state::{State, VBucketState};
pub use vbucket::{ResumePoint, VBucket, VBucketError, Written};

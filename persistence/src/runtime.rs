//! The runtime: a store that a program links in, with the threads that serve it.
//!
//! ```text
//!   write -> documents -> vBucket ---mark---> flusher thread -> engine -> disk
//!     |                      |  \                  |
//!   handle <---persisted-----+   \---cursor--> follower <---backfill--- engine
//! ```
//!
//! Everything that decides is a part without threads, clocks and I/O ([`crate::hosted`]): flush
//! shards, documents, vBuckets, followers. The runtime adds threads, wake-ups and time.
//!
//! # Invariants
//!
//! - R1, R2. No change waits for the next one, and no wake-up is lost ([`crate::hosted::waiting::inbox`]).
//! - R3, R4. A wait for *persisted* ends as the disk did ([`crate::hosted::waiting::persisted`]).
//! - R5, R6. One engine at a time (`engine/slot`).
//! - R7. The mark of an orderly stop is true (`engine/orderly_stop`).
//! - R8. Closing flushes every write that was taken ([`crate::hosted::waiting::gate`]).
//! - R9. A vBucket exists once its state was committed (`opening`).
//! - R10. A write is checked against the newest revision (`operations/write`).
//! - R11. No event of a follower waits for the next one (`operations/follow`).
//! - R12. A replica is a copy (`operations/apply`).
//! - R13. One thread at a time has a shard, and leaves nothing undone ([`crate::hosted::waiting::inbox`],
//!   `threads/leading`).

mod command;
mod engine;
mod error;
mod host;
mod opening;
mod operations;
mod options;
mod partition;
mod report;
mod rollback;
mod shard;
mod shared;
mod store;
mod threads;

pub use engine::open_engine::OpenEngine;
pub use error::StoreError;
pub use host::{Host, OsHost};
pub use opening::OpenReport;
pub use operations::apply::Applied;
pub use operations::change::{Change, IntoKey};
pub use operations::follow::{Followed, Follower};
pub use operations::read::Document;
pub use operations::write::{PersistedFuture, Write};
pub use options::StoreOptions;
pub use report::health::{Failure, Health};
#[cfg(feature = "tracing")]
pub use report::observer::TracingObserver;
pub use report::observer::{StoreEvent, StoreObserver};
pub use report::stats::StoreStats;
pub use store::{CloseError, Store, Unflushed};

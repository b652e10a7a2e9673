//! Storage engines behind a flusher: the items of a checkpoint manager become durable, and readable
//! by key and by seqno.
//!
//! ```text
//! checkpoint manager --persistence cursor--> Flusher --CommitBatch--> dyn Engine --every byte--> dyn Disk
//!                    <--persisted seqno-----         <--Committed--
//! ```
//!
//! [`Engine`] is the contract. Two engines implement it: [`couchstore`] (a file for each vBucket,
//! in the vendor's format) and [`logstor`] (one log for all). [`disk`] is the only way to storage:
//! real files, memory, or a disk that fails on command.
//!
//! [`Store`] is all of it with the threads that it needs: a program opens it, writes, reads and
//! follows.
//!
//! ```
//! use lowtide_checkpoint::{ResumePoint, Vbid};
//! use lowtide_persistence::{Change, FollowerEvent, Store, StoreOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path(), StoreOptions::couchstore())?;
//! let write = store.set(Vbid(0), "apple", "red")?; // visible now
//! write.wait_persisted()?; // on disk now
//! let green = Change::replace("apple", "green").if_cas(write.cas());
//! store.write(Vbid(0), green)?.wait_persisted()?;
//! for followed in store.follow(Vbid(0), "indexer", ResumePoint::START)? {
//!     match followed?.event {
//!         FollowerEvent::Items(items) => items.iter().for_each(|item| println!("{}", item.key)),
//!         FollowerEvent::SnapshotEnd(_) => break, // the reader has what the store has
//!         _ => {}
//!     }
//! }
//! store.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! The other parts own no thread and read no clock, for programs that bring their own. The folder
//! `examples` has programs of both kinds.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod contract;
pub mod couchstore;
pub mod disk;
mod failure;
#[cfg(any(checkpoint_loom, feature = "faults"))]
#[doc(hidden)]
pub mod fault;
#[cfg(not(any(checkpoint_loom, feature = "faults")))]
mod fault;
mod flusher;
mod hosted;
pub mod logstor;
mod numbers;
mod read_views;
// Models have no time and no real threads.
#[cfg(not(checkpoint_loom))]
mod runtime;
mod shared;
mod sync;

pub use contract::{
    Budget, Capabilities, CommitBatch, Committed, CommonStats, CompactionFilter, CompactionReport,
    CompactionRequest, Engine, EngineError, EnginePoint, EngineStats, Executor, Figure, InOrder,
    Job, JobProgress, JobStage, KeyItems, KeyRange, KeySlice, RecoveryReport, RetainedHistory,
    RolledBack, ScanLimit, ScanSlice, SeqnoItems, Severity, Snapshot, Task, Unit, VBucketInfo,
    Verdict,
};
pub use flusher::{CommittedGroup, FlushGroup, Flushed, Flusher, Persisted};
#[cfg(checkpoint_loom)]
#[doc(hidden)]
pub use hosted::waiting;
pub use hosted::{Attached, CallNext, CallOutcome, Calls, EngineAnswer, EngineCall, EngineDone};
pub use hosted::{BackfillOutcome, BackfillRead, BackfillScan, BackfillStep};
pub use hosted::{Backoff, FlushNext, FlushOutcome, FlushShard, recover_memory};
pub use hosted::{
    CacheBudget, Documents, DocumentsStats, Fetch, FetchError, FilterScan, FilterScanVoid, Found,
    Known,
};
pub use hosted::{
    DeliveryError, FollowerError, FollowerEvent, FollowerItems, FollowerMachine, FollowerTurn,
};
pub use lowtide_checkpoint::ItemRef;
pub use read_views::{ReadViews, whole_seqno};
#[cfg(all(feature = "tracing", not(checkpoint_loom)))]
pub use runtime::TracingObserver;
#[cfg(not(checkpoint_loom))]
pub use runtime::{
    Applied, Change, CloseError, Document, Failure, Followed, Follower, Health, Host, IntoKey,
    OpenEngine, OpenReport, OsHost, PersistedFuture, Store, StoreError, StoreEvent, StoreObserver,
    StoreOptions, StoreStats, Unflushed, Write,
};
pub use shared::{StoreOwner, store_owners};

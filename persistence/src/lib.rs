//! Storage engines behind a flusher: what a checkpoint manager holds becomes durable, and readable by key and by seqno.
//!
//! ```text
//! checkpoint manager --persistence cursor--> Flusher --Batch--> dyn Engine --every byte--> dyn Disk
//!                    <--persisted seqno-----         <--Committed--
//! ```
//!
//! [`Engine`] is the contract; [`couchstore`] (a file for each vBucket, as the vendor's) and [`logstor`] (one log for all)
//! keep it; [`disk`] is the only way to storage: real files, memory, or a disk that fails on command. Nothing here owns a thread or reads a clock.
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

mod backfill;
pub mod couchstore;
pub mod disk;
mod engine;
mod error;
mod executor;
#[cfg(any(checkpoint_loom, feature = "faults"))]
#[doc(hidden)]
pub mod fault;
#[cfg(not(any(checkpoint_loom, feature = "faults")))]
mod fault;
mod flusher;
mod item_ref;
mod job;
pub mod logstor;
mod read_views;
mod record;
mod store_owner;
mod sync;

pub use backfill::{BackfillOutcome, BackfillRead, BackfillScan, BackfillStep};
pub use engine::{
    Batch, Capabilities, Committed, Engine, History, KeyRange, KeySlice, RecoveryReport,
    RolledBack, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};
pub use error::EngineError;
pub use executor::{Executor, InOrder, Task};
pub use flusher::{CommittedGroup, FlushGroup, Flushed, Flusher, Persisted};
pub use item_ref::ItemRef;
pub use job::{
    Budget, CompactionFilter, CompactionReport, CompactionRequest, Job, Progress, Verdict,
};
pub use read_views::{ReadViews, whole_seqno};
pub use store_owner::{StoreOwner, store_owners};

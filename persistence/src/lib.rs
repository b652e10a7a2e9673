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
//! real files, memory, or a disk that fails on command. This crate owns no thread and reads no
//! clock.
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
mod record;
mod store_owner;
mod sync;

pub use backfill::{BackfillOutcome, BackfillRead, BackfillScan, BackfillStep};
pub use contract::{
    Budget, Capabilities, CommitBatch, Committed, CompactionFilter, CompactionReport,
    CompactionRequest, Engine, EngineError, EnginePoint, EngineStats, Executor, Figure, InOrder,
    Job, JobProgress, JobStage, KeyItems, KeyRange, KeySlice, RecoveryReport, RetainedHistory,
    RolledBack, ScanLimit, ScanSlice, SeqnoItems, Severity, Snapshot, Task, Unit, VBucketInfo,
    Verdict,
};
pub use flusher::{CommittedGroup, FlushGroup, Flushed, Flusher, Persisted};
pub use hosted::{
    Attached, Backoff, CallNext, CallOutcome, Calls, EngineAnswer, EngineCall, EngineDone,
    FlushNext, FlushOutcome, FlushShard, recover_memory,
};
pub use lowtide_checkpoint::ItemRef;
pub use read_views::{ReadViews, whole_seqno};
pub use store_owner::{StoreOwner, store_owners};

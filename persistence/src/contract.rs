//! The contract between hosts, flusher and engines: the [`Engine`] trait, its values and errors,
//! its jobs.
//!
//! It names no engine: hosts and flusher work with any implementation.

mod engine;
mod error;
mod executor;
mod item_ref;
mod job;

pub use engine::{
    Capabilities, CommitBatch, Committed, Engine, KeyRange, KeySlice, RecoveryReport,
    RetainedHistory, RolledBack, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};
pub use error::EngineError;
pub use executor::{Executor, InOrder, Task};
pub use item_ref::ItemRef;
pub use job::{
    Budget, CompactionFilter, CompactionReport, CompactionRequest, Job, JobProgress, Verdict,
};

//! The contract between hosts, flusher and engines: the [`Engine`] trait, its values and errors,
//! its jobs.
//!
//! It names no engine: hosts and flusher work with any implementation.

mod engine;
mod error;
mod executor;
mod job;
mod points;
mod scan;
mod scan_items;
mod severity;
mod snapshot;
mod stats;

pub use engine::{
    Capabilities, CommitBatch, Committed, Engine, RecoveryReport, RetainedHistory, RolledBack,
};
pub use error::EngineError;
pub use executor::{Executor, InOrder, Task};
pub use job::{
    Budget, CompactionFilter, CompactionReport, CompactionRequest, Job, JobProgress, Verdict,
};
pub use points::{EnginePoint, JobStage};
pub use scan::{KeyRange, KeySlice, ScanLimit, ScanSlice};
pub use scan_items::{KeyItems, SeqnoItems};
pub use severity::Severity;
pub use snapshot::Snapshot;
pub use stats::{CommonStats, EngineStats, Figure, Unit, VBucketInfo};

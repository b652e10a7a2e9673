//! Lowtide's storage engines and the flusher that feeds them.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod couchstore;
pub mod disk;
mod engine;
mod error;
mod flusher;

pub use engine::{
    Batch, Committed, Engine, RecoveryReport, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};
pub use error::EngineError;
pub use flusher::{CommittedGroup, FlushGroup, Flushed, Flusher, Persisted};

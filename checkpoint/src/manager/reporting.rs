//! Reports about the guarded data: audit, diagram and counters. None of them changes it.
//!
//! They are computed on request. Only figures that de-duplication and memory recovery need are kept
//! up to date by the operations.

mod audit;
mod display;
mod stats;

pub use stats::{CheckpointInfo, CheckpointStats};

//! The checkpoint manager: operations enter, batches leave, any number of cursors read.
//!
//! One mutex guards the queue, the checkpoints and the cursors ([`LockedState`]). The wing has four
//! layers: the guarded data, the operations on it, the reports about it, and the public handle with
//! its lock.
//!
//! ```text
//!   manager, flush, subscriber_api          public handle, takes the lock
//!   operations/*         reporting/*        one critical section each
//!   locked_state                            all guarded data
//!   checkpoint, cursors, batch, tail, ...   its parts
//! ```
//!
//! # Invariants
//! - Every operation is one critical section that leaves queue, checkpoints and cursors consistent
//!   (C16). Memory that it frees is dropped after the lock is released (C13).
//! - Section C of `docs/invariants.md` lists all of them.
//!
//! [`LockedState`]: locked_state::LockedState

mod batch;
mod checkpoint;
mod config;
mod cursors;
mod deferred;
mod flush;
mod locked_state;
#[expect(
    clippy::module_inception,
    reason = "the wing is named after its main type"
)]
mod manager;
mod operations;
mod read_limit;
mod reporting;
mod rollback_log;
mod subscriber_api;
mod tail;

pub use batch::CursorBatch;
pub use config::{CheckpointConfig, CursorOptions, PERSISTENCE, Role};
pub(crate) use cursors::Progress;
pub use cursors::{Cursor, CursorInfo, Registration};
pub use flush::Flush;
pub use manager::CheckpointManager;
pub use operations::{Effect, MemoryRecovery, Queued};
pub(crate) use operations::{Resumed, Subscriber};
pub use read_limit::ReadLimit;
pub use reporting::{CheckpointInfo, CheckpointStats};
pub(crate) use tail::{Tail, TailRead};

#[cfg(test)]
mod tests;

//! The operations on the guarded data: each is one critical section.
//!
//! They are methods of [`LockedState`](super::locked_state::LockedState), whose caller holds the
//! lock.
//!
//! # Invariants
//! - An operation succeeds as a whole, or returns an error and changes nothing (C15, C16).
//! - Memory that it frees is left in the state's deferred work (C13).

mod checkpoint_lifecycle;
mod clear;
mod dedup;
mod expel;
mod memory_recovery;
mod persistence_cursor;
mod queue_item;
mod read;
mod register;

pub use memory_recovery::MemoryRecovery;
pub use queue_item::{Effect, Queued};
pub(crate) use register::{Resumed, Subscriber};

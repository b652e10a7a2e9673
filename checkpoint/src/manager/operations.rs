//! The operations on the guarded data: each is one critical section, as a method of
//! [`LockedState`](super::locked_state::LockedState).
//!
//! The caller holds the lock. An operation either succeeds as a whole or returns an error and
//! changes nothing (C15, C16). Memory that it frees it leaves in the state's deferred work.

mod checkpoint_lifecycle;
mod clear;
mod dedup;
mod expel;
mod memory_recovery;
mod persistence_cursor;
mod queue_item;
mod read;
mod register;

pub use memory_recovery::Recovered;
pub use queue_item::{Effect, Queued};
pub(crate) use register::{Resumed, Subscriber};

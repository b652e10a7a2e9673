//! The only access to locks: those of parking_lot, or loom's in its models. Also to the atomics that
//! models examine.
//!
//! `--cfg checkpoint_loom` selects loom's. Both have the same signatures here, so that the models run
//! the code that ships. A mutex that some thread only tries to lock is a [`TryMutex`]. The other
//! mutexes have no `try_lock` under loom, because loom would not explore its failure. [`native`] has
//! parking_lot's under loom, too.
//!
//! # Lock order
//! A thread takes locks in the order of their ranks, and holds at most one of each rank. A read lock
//! counts like any other ([`native::RwLock`] says why). Debug builds panic otherwise. The order is one
//! for all crates of the workspace: `docs/lock-order.md` is the whole table, and each crate has its part
//! as constants. This crate's part:
//!
//! | field | rank | protects |
//! |---|---|---|
//! | `VBucket::locked` | 57 | state, failover log, clock, snapshot progress and subscribers of a vBucket |
//! | `CheckpointManager's Shared::state` | 58 | queue, checkpoints, key index and cursors of a manager |
//! | `Reclaimer's Shared::pending` | 59 | garbage that waits to be freed |
//! | `Signal::state` | 60 | the flag of one waiting thread, and the wait set it belongs to |
//! | `ReadySet::ready` | 61 | the ready numbers of a wait set, and its waker |
//! | `Link` (under loom only) | 62 | the next chunk of a chain |
//!
//! A thread that waits for a `Signal` or a `ReadySet` holds no other lock.

mod accesses;
mod link;
#[cfg(checkpoint_loom)]
mod loom_locks;
pub mod native;
mod rank;
pub(crate) mod ranks;
mod ready_set;
mod signal;

#[cfg(not(checkpoint_loom))]
pub use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
pub use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
pub use loom_locks::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, TryMutex, TryMutexGuard,
};
#[cfg(not(checkpoint_loom))]
pub use native::{
    Mutex, Mutex as TryMutex, MutexGuard, MutexGuard as TryMutexGuard, RwLock, RwLockReadGuard,
    RwLockWriteGuard,
};
pub use rank::Rank;

pub(crate) use accesses::Accesses;
pub(crate) use link::Link;
pub(crate) use ready_set::ReadySet;
pub use signal::Signal;

#[cfg(all(test, debug_assertions, not(checkpoint_loom)))]
mod tests;

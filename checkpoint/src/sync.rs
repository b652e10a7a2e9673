//! The only access to locks and atomics: those of parking_lot and std, or loom's in its models.
//!
//! `--cfg checkpoint_loom` selects loom's. Both have the same signatures here, so that the models run
//! the code that ships. A mutex that some thread only tries to lock is a [`TryMutex`]. The other
//! mutexes have no `try_lock` under loom, because loom would not explore its failure.
//!
//! # Lock order
//! A thread takes locks in the order of their ranks, and holds at most one of each rank. Debug builds
//! panic otherwise.
//!
//! | field | rank | protects |
//! |---|---|---|
//! | `VBucket::locked` | [`Rank::VBucket`] | state, failover log, clock, snapshot progress and subscribers of a vBucket |
//! | `CheckpointManager`'s `Shared::state` | [`Rank::Manager`] | queue, checkpoints, key index and cursors of a manager |
//! | `Reclaimer`'s `Shared::pending` | [`Rank::Reclaimer`] | garbage that waits to be freed |
//! | `Signal::raised` | [`Rank::Signal`] | the flag of one waiting thread |
//! | `Link` (under loom only) | `Rank::Link` | the next chunk of a chain |
//!
//! A thread that waits for a [`Signal`] holds no other lock.

mod accesses;
mod link;
#[cfg(checkpoint_loom)]
mod loom_mutex;
#[cfg(not(checkpoint_loom))]
mod mutex;
mod rank;
mod signal;

#[cfg(not(checkpoint_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(crate) use accesses::Accesses;
pub(crate) use link::Link;
#[cfg(checkpoint_loom)]
pub(crate) use loom_mutex::{Mutex, MutexGuard, TryMutex, TryMutexGuard};
#[cfg(not(checkpoint_loom))]
pub(crate) use mutex::{Mutex, Mutex as TryMutex, MutexGuard, MutexGuard as TryMutexGuard};
pub(crate) use rank::Rank;
pub(crate) use signal::Signal;

#[cfg(all(test, debug_assertions, not(checkpoint_loom)))]
mod tests;

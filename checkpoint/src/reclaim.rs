//! Freeing memory outside the manager's lock: the garbage of a critical section, and its reclaimer.
//!
//! This wing is apart from `memory` because garbage is made of the queue's parts, and the queue
//! charges its memory to accounts: one wing for both would be a circle.
//!
//! # Invariants
//! - A reclaimer frees everything it is given once; until then chunks stay charged (C27).

mod garbage;
mod reclaimer;

pub(crate) use garbage::Garbage;
pub use reclaimer::Reclaimer;

#[cfg(all(test, not(checkpoint_loom)))]
mod tests;

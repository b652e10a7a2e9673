//! Subscriptions: cursors that know their seqno, ask for backfill and can wait.
//!
//! A subscription is a client of the manager. It delivers batches in order and without a gap. When
//! memory no longer has the next items it names the seqnos to fetch from disk.
//!
//! # Invariants
//! - A batch after a [`SubscriptionEvent::Backfill`] begins where the backfill ends. A waiting reader
//!   is woken once for each change from "nothing to read" to "something" (C19).
//! - Delivered items that were rolled back are reported by [`SubscriptionEvent::RolledBack`] before
//!   any batch of the history that replaced them (C24).
//! - A thread that waits for many subscriptions is woken by any of them (C33).

mod event;
mod from_disk;
mod snapshot_progress;
mod stopper;
mod subscribe;
#[expect(
    clippy::module_inception,
    reason = "the wing is named after its main type"
)]
mod subscription;
mod wait_set;

pub use event::{Backfill, SubscriptionEvent};
pub use stopper::Stopper;
pub use subscription::Subscription;
pub use wait_set::WaitSet;

#[cfg(test)]
mod tests;

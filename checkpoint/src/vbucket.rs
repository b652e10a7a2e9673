//! One vBucket: its state, its clock, the branches of its history, and its checkpoint manager.
//!
//! An active takes writes, a replica takes received items. Batches leave through the manager, and
//! the vBucket computes the state to commit with each of them.
//!
//! # Invariants
//! - CAS order is seqno order on an active: both are assigned inside one critical section.
//! - Durable writes complete in their order; a completed or prepared seqno never falls on one
//!   branch (C21).
//! - A snapshot counts as whole only once the item with its end is there (C22), and branches start
//!   where history is whole (C23).
//! - An active that stopped uncleanly leads again only on a new branch (C29).
//! - Locks are taken in the order vBucket, manager.

mod commit_state;
mod error;
mod locked_vbucket;
mod received_snapshots;
mod recover;
mod roles;
mod rollback;
mod subscribe;
mod transition;
#[expect(
    clippy::module_inception,
    reason = "the wing is named after its main type"
)]
mod vbucket;
mod write;

pub use error::VBucketError;
pub use recover::AfterStop;
pub use vbucket::VBucket;
pub use write::Written;

#[cfg(test)]
mod tests;

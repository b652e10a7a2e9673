//! A follower: one reader's place in the changes of one vBucket, wherever they are.
//!
//! ```text
//!               memory no longer has the next items
//!     memory -----------------------------------------> disk
//!        ^          the pinned snapshot was read           |
//!        +-------------------------------------------------+
//! ```
//!
//! A program that wants every change (an indexer, a cache, a replica in another store) reads from
//! memory while it keeps up, and from disk while it does not. A [`FollowerMachine`] hides the
//! difference: it gives its reader snapshots, items and the ends of snapshots, and asks its host for
//! the steps of a backfill. It owns no thread, and does no I/O.
//!
//! # Invariants
//!
//! - S35. Everything is delivered once and in order. A cursor is registered before the disk is pinned,
//!   and moves behind the pinned snapshot before any of it is delivered.
//! - S36. The end of a snapshot is reported only if the reader has all of it. A marker's range ends
//!   there, or was cut short: the marker that follows starts where the cut one did and ends no earlier.
//! - S37. A rollback, and a branch that the reader is not on, are reported before anything of the other
//!   history is delivered. The rule is that of every reader (C28).
//! - S38. A replica takes every marker and item as it comes, and is an equal copy at each end.
//! - S39. An event survives its bytes: what is decoded is what was encoded. Any other bytes are
//!   refused ([`delivery`]).

mod backfills;
mod delivery;
mod error;
mod event;
mod machine;
mod markers;
mod memory;

pub use delivery::DeliveryError;
pub use error::FollowerError;
pub use event::{FollowerEvent, FollowerItems, FollowerTurn};
pub use machine::FollowerMachine;

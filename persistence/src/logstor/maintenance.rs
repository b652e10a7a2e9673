//! Upkeep of an open store: everything that is a job, and everything that schedules, paces or owns
//! jobs.
//!
//! Upkeep needs the whole store, and no part of the store needs upkeep. So this wing owns the
//! store, and the store knows nothing of it. A commit that runs out of segments reaches it through
//! one trait, [`CommitHost`].
//!
//! ```text
//! scheduler -> rewrite_job, image_job, load_job -> store_lease -> state -> store
//!                      |             |                              |
//!                  compaction   image_schedule            commit_host (called by commits)
//! ```
//!
//! # Invariants
//!
//! - Nothing that a store holds leads back to it, and nothing it lends keeps it (L45). Jobs belong
//!   to the host, and have a [`StoreLease`] only.
//! - A record is always on disk where the index names it: see [`compaction`] (L15, L16).
//! - Nothing is freed or moved before every vBucket is loaded that can be (L23).
//! - Jobs concurrent with commits move no more than the commits write: see [`pacing`] (L37).
//!
//! [`CommitHost`]: super::commit::CommitHost

mod commit_host;
mod compaction;
mod image_job;
mod image_schedule;
mod load_job;
mod pacing;
mod rewrite_job;
mod running_jobs;
mod scheduler;
mod state;
mod stats;
mod store_lease;
mod triggers;

pub use self::stats::LogstorStats;

#[cfg(test)]
pub(super) use self::compaction::{LOW_SPACE_SEGMENTS, reclaim};
pub(super) use self::rewrite_job::RewriteGoal;
pub(super) use self::state::Maintenance;
pub(super) use self::store_lease::StoreLease;

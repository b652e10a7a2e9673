//! The parts that belong to no single engine: the owner of a directory, small records, sorted runs.
//!
//! Engines do not know one another. `record` has one user so far, logstor: couchstore's format is the
//! vendor's, and `tests/tidy` keeps it from there.

mod merged_runs;
pub(crate) mod record;
mod store_owner;

pub(crate) use merged_runs::{MergedRuns, SortedRun};
pub use store_owner::{StoreOwner, store_owners};

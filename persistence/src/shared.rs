//! The parts that several engines use: the owner of a directory, small records, sorted runs.
//!
//! Engines do not know one another. Code that two of them need is here.

mod merged_runs;
pub(crate) mod record;
mod store_owner;

pub(crate) use merged_runs::{MergedRuns, SortedRun};
pub use store_owner::{StoreOwner, store_owners};

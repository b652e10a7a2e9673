//! Commits: batches, groups, syncs, limits, versions, and the shapes of the trees they leave.

mod batches;
mod group;
mod limits;
mod preallocation;
pub(super) mod replay;
mod syncs;
mod versions;

//! The observer of named points inside commits, for hosts that stop or crash there.

use std::fmt;

/// Observer of named points inside commits: `after-write-before-index`, when a group is durable,
/// and `after-index-before-separate`, when it can be read. Commits don't wait for anything that it
/// starts.
pub trait CommitObserver: Send + Sync + fmt::Debug {
    /// Called when a point is reached.
    fn reached(&self, point: &'static str);
}

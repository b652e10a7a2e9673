//! The observer of named points inside commits, for hosts that stop or crash there.

use std::fmt;

use crate::contract::EnginePoint;

/// Observer of points inside commits: [`EnginePoint::AfterWriteBeforeIndex`], when a group is
/// durable, and [`EnginePoint::AfterIndexBeforeSeparate`], when it can be read. Commits don't wait
/// for anything that it starts.
pub trait CommitObserver: Send + Sync + fmt::Debug {
    /// Called when a point is reached.
    fn reached(&self, point: EnginePoint);
}

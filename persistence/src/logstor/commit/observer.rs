//! The points that commits and jobs report, and the observer of those inside commits.
//!
//! Hosts stop or crash a store at a point, to test what a power loss there leaves.

use std::fmt;

use crate::contract::EnginePoint;

/// Observer of points inside commits: [`EnginePoint::AfterWriteBeforeIndex`], when a group is
/// durable, and [`EnginePoint::AfterIndexBeforeSeparate`], when it can be read. Commits don't wait
/// for anything that it starts.
pub trait CommitObserver: Send + Sync + fmt::Debug {
    /// Called when a point is reached.
    fn reached(&self, point: EnginePoint);
}

//! The points that commits and jobs report, and the observer of those inside commits.
//!
//! Hosts stop or crash a store at a point, to test what a power loss there leaves.

use std::fmt;

/// A point of a commit or of a job of rewriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogPoint {
    /// A group, or a step of copying, is durable and cannot be read yet.
    AfterWriteBeforeIndex,
    /// A group can be read, and segments of several vBuckets are not separated yet.
    AfterIndexBeforeSeparate,
    /// Copies are durable, and the index still names the originals.
    CompactAfterCopy,
    /// The index names the copies, and the segments of the originals are not free yet.
    CompactBeforeFree,
}

impl LogPoint {
    /// Returns the stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterWriteBeforeIndex => "after-write-before-index",
            Self::AfterIndexBeforeSeparate => "after-index-before-separate",
            Self::CompactAfterCopy => "compact-after-copy",
            Self::CompactBeforeFree => "compact-before-free",
        }
    }
}

/// Observer of the points inside commits: [`LogPoint::AfterWriteBeforeIndex`] and
/// [`LogPoint::AfterIndexBeforeSeparate`]. Commits don't wait for anything that it starts.
pub trait CommitObserver: Send + Sync + fmt::Debug {
    /// Called when a point is reached.
    fn reached(&self, point: LogPoint);
}

//! The names of an engine's progress: points that a host may stop at, and stages of its jobs.
//!
//! Tests and simulations lose power at a point. Each name has a stable word for scripts.

use std::fmt;

/// A named point inside a job or a commit: everything before it is done, nothing after it has
/// begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EnginePoint {
    /// Compaction of a file: every row of some commit is copied, and both of its indexes are built.
    CompactCopied,
    /// Compaction of a file: the new file lacks no commit, or too little for another round.
    CompactCaughtUp,
    /// Compaction of a file: the new file is whole and durable, under a temporary name.
    CompactBeforeRename,
    /// Compaction of a file: the new file is the vBucket's, durably. The old one still exists.
    CompactAfterRename,
    /// Commit or rewriting of a log: the records are durable, and readers do not find them yet.
    AfterWriteBeforeIndex,
    /// Commit or rewriting of a log: readers find the records, and no segment is chosen yet.
    AfterIndexBeforeSeparate,
    /// Rewriting of a log: the copies of a step are durable, and not yet in the index.
    CompactAfterCopy,
    /// Rewriting of a log: the segments hold nothing that lives, and are not yet free.
    CompactBeforeFree,
}

impl EnginePoint {
    /// All points.
    pub const ALL: [Self; 8] = [
        Self::CompactCopied,
        Self::CompactCaughtUp,
        Self::CompactBeforeRename,
        Self::CompactAfterRename,
        Self::AfterWriteBeforeIndex,
        Self::AfterIndexBeforeSeparate,
        Self::CompactAfterCopy,
        Self::CompactBeforeFree,
    ];

    /// Returns its stable word for scripts and scenario files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompactCopied => "compact-copied",
            Self::CompactCaughtUp => "compact-caught-up",
            Self::CompactBeforeRename => "compact-before-rename",
            Self::CompactAfterRename => "compact-after-rename",
            Self::AfterWriteBeforeIndex => "after-write-before-index",
            Self::AfterIndexBeforeSeparate => "after-index-before-separate",
            Self::CompactAfterCopy => "compact-after-copy",
            Self::CompactBeforeFree => "compact-before-free",
        }
    }
}

impl fmt::Display for EnginePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The current part of a job's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JobStage {
    /// Copies rows to a new file.
    Copying,
    /// Builds the indexes of a new file.
    Indexing,
    /// Brings a new file to the newest commit.
    CatchingUp,
    /// Loads a vBucket's index into memory.
    Loading,
    /// Reads what was appended to a log since an image of its index.
    ReadingLog,
    /// Writes an image of an index.
    WritingImage,
    /// Chooses segments to rewrite.
    Choosing,
    /// Copies what lives in segments.
    Rewriting,
    /// Frees segments.
    Freeing,
    /// Takes a vBucket in from another store.
    Importing,
}

impl JobStage {
    /// Returns its stable word for scripts and progress bars.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Indexing => "indexing",
            Self::CatchingUp => "catching-up",
            Self::Loading => "load",
            Self::ReadingLog => "read-log",
            Self::WritingImage => "write-image",
            Self::Choosing => "choose",
            Self::Rewriting => "copy",
            Self::Freeing => "free",
            Self::Importing => "import",
        }
    }
}

impl fmt::Display for JobStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_points_differ() {
        for (at, point) in EnginePoint::ALL.iter().enumerate() {
            for other in &EnginePoint::ALL[at + 1..] {
                assert_ne!(point.as_str(), other.as_str());
            }
            assert_eq!(point.to_string(), point.as_str());
        }
    }
}

//! Purposes that segments are taken for, and the facts known of a closed one.

use lowtide_checkpoint::Vbid;

use crate::logstor::config::{COMMIT_RESERVE, REWRITE_RESERVE};

/// The writer of a closed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum Origin {
    /// Commits, in the order of arrival.
    Commits,
    /// Rewriting: it is as full as possible.
    Rewritten,
    /// A large record, of which it holds a fragment.
    Large { first: bool },
}

/// The purpose a segment is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum SegmentPurpose {
    /// An ordinary commit.
    Commit,
    /// A commit that makes more space than it takes, or only deletes.
    MakingRoom,
    /// Copies of live records, so that other segments become free.
    Rewriting,
}

impl SegmentPurpose {
    /// Returns the number of free segments that it leaves to others.
    pub(super) const fn reserve(self) -> u32 {
        match self {
            Self::Commit => COMMIT_RESERVE,
            Self::MakingRoom => REWRITE_RESERVE,
            Self::Rewriting => 0,
        }
    }
}

/// A closed segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::logstor) struct ClosedSegment {
    /// Bytes of valid frames.
    pub(in crate::logstor) used: u32,
    pub(in crate::logstor) origin: Origin,
    /// The vBucket that alone has records in it.
    pub(in crate::logstor) owner: Option<Vbid>,
    /// It is being rewritten.
    pub(in crate::logstor) claimed: bool,
}

//! Long work of an engine, done in steps of a bounded size.
//!
//! A job owns no thread and reads no clock. Its host drives it: a thread in a loop, or a simulator
//! between two events. Commits and reads go on concurrently. Dropping a job aborts it: its files
//! are removed, and the vBucket is as if the job had never started.

use std::fmt;

use lowtide_checkpoint::{Item, Seqno};

use super::error::EngineError;
use super::points::{EnginePoint, JobStage};

/// The limits of a step. A step ends at the first limit it reaches, and always makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The number of items read or written.
    pub items: usize,
    /// The bytes of keys and values read or written.
    pub bytes: u64,
}

impl Budget {
    /// No limit: each stage is one step.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: u64::MAX,
    };

    /// Returns a limit of items and of bytes.
    #[must_use]
    pub const fn new(items: usize, bytes: u64) -> Self {
        Self { items, bytes }
    }

    /// Subtracts one item. Returns whether anything is left.
    pub(crate) const fn spend(&mut self, bytes: u64) -> bool {
        // The item that ends a step may be larger than what is left.
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.items > 0 && self.bytes > 0
    }
}

/// The progress of a job after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobProgress {
    /// There is more to do.
    Working {
        /// The current stage.
        stage: JobStage,
        /// The number of items done.
        done: u64,
        /// The number of items in all, as far as known.
        of: u64,
    },
    /// A point at which the host may pause. There is more to do. The same point may be reached
    /// again.
    Reached(EnginePoint),
    /// The job is ahead of the concurrent commits and did nothing. A host that can wait does, for
    /// about a millisecond, in favour of their throughput. If nothing is committed until the next
    /// step, that step continues.
    Ahead,
    /// The job is done.
    Done(CompactionReport),
}

/// The result of a compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionReport {
    /// The vBucket's size on disk at the start.
    pub bytes_before: u64,
    /// Its size at the end.
    pub bytes_after: u64,
    /// Items copied, those committed meanwhile included.
    pub items_copied: u64,
    /// Tombstones removed.
    pub tombstones_purged: u64,
    /// Completed prepares removed.
    pub prepares_dropped: u64,
    /// Items removed by the filter.
    pub items_filtered: u64,
    /// Items kept that the filter reported as expired.
    pub items_expired: u64,
    /// The number of times it caught up with concurrent commits.
    pub catch_up_rounds: u64,
}

/// Long work in bounded steps.
pub trait Job: Send + fmt::Debug + 'static {
    /// Does a part of the work.
    ///
    /// # Errors
    /// Any failure; [`EngineError::Aborted`] if the vBucket is no longer what the job began with.
    /// The job is then over, has left nothing behind, and the vBucket is unchanged. There are two
    /// exceptions: the store is poisoned, or only the last part failed, the removal of files that
    /// the vBucket no longer needs. That is retried later.
    fn step(&mut self, budget: Budget) -> Result<JobProgress, EngineError>;
}

/// The items that a compaction removes. The item with the vBucket's highest seqno always stays, and
/// so does a tombstone that has its collection's.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CompactionRequest {
    /// Removes tombstones of deletions before this time, in seconds since the epoch. Tombstones
    /// without a time stay.
    pub purge_before: Option<u32>,
    /// Removes tombstones up to this seqno. With `purge_before` both must hold; with neither all
    /// tombstones stay.
    pub purge_upto: Option<Seqno>,
    /// The host's filter of live items.
    pub filter: Option<Box<dyn CompactionFilter>>,
}

impl CompactionRequest {
    /// Returns a request that removes superseded revisions only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes tombstones of deletions before a time, in seconds since the epoch.
    #[must_use]
    pub fn with_purge_before(self, seconds: u32) -> Self {
        Self {
            purge_before: Some(seconds),
            ..self
        }
    }

    /// Removes tombstones up to a seqno.
    #[must_use]
    pub fn with_purge_upto(self, upto: Seqno) -> Self {
        Self {
            purge_upto: Some(upto),
            ..self
        }
    }

    /// Shows live items to the host's filter.
    #[must_use]
    pub fn with_filter(self, filter: Box<dyn CompactionFilter>) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }
}

/// The host's decision about each live item that is about to be copied.
pub trait CompactionFilter: Send + fmt::Debug {
    /// Judges an item. Its value is absent, because it was not read. Items committed while the
    /// compaction runs are not judged.
    fn judge(&mut self, item: &Item) -> Verdict;
}

/// The decision about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It is removed, without a tombstone.
    Drop,
    /// It stays and is counted as expired. The host deletes it later, by a commit with a tombstone.
    Expire,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct KeepAll;

    impl CompactionFilter for KeepAll {
        fn judge(&mut self, _item: &Item) -> Verdict {
            Verdict::Keep
        }
    }

    #[test]
    fn each_setter_of_a_compaction_sets_its_own_field() {
        let CompactionRequest {
            purge_before,
            purge_upto,
            filter,
        } = CompactionRequest::new()
            .with_purge_before(1)
            .with_purge_upto(Seqno(2))
            .with_filter(Box::new(KeepAll));
        assert_eq!((purge_before, purge_upto), (Some(1), Some(Seqno(2))));
        assert_eq!(format!("{filter:?}"), "Some(KeepAll)");
    }
}

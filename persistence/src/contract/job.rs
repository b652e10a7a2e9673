//! Long work of an engine, done in bounded steps: a budget goes in, how far it has come goes out.
//!
//! A job owns no thread and reads no clock. Whoever has it drives it: a thread in a loop, or a simulator between two
//! events. Commits and reads go on beside it. Dropping a job aborts it: what it made is removed, and the vBucket is as
//! if there had been none.

use std::fmt;

use lowtide_checkpoint::{Item, Seqno};

use super::error::EngineError;

/// How much a step may do. It ends at the first limit it reaches, and always gets something done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Items read or written.
    pub items: usize,
    /// Bytes of keys and values read or written.
    pub bytes: u64,
}

impl Budget {
    /// No bound: each stage is one step.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: u64::MAX,
    };

    /// Takes one item off; says whether anything is left.
    pub(crate) const fn spend(&mut self, bytes: u64) -> bool {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.items > 0 && self.bytes > 0
    }
}

/// How far a job has come with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    Working {
        /// What is being done, in one word.
        stage: &'static str,
        /// How much of it is done, in items.
        done: u64,
        /// How much of it there is, as far as known.
        of: u64,
    },
    /// A named point, at which the host may pause: everything before it is done, nothing after it begun. There is more
    /// to do. The same point may be met again.
    Reached(&'static str),
    /// It is ahead of the commits beside it, and did nothing now: whoever can wait does, a millisecond or so, for their
    /// throughput's sake. If nothing is committed until the next step, that goes on.
    Ahead,
    /// Nothing is left to do.
    Done(CompactionReport),
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// What the vBucket took on disk when it began.
    pub bytes_before: u64,
    /// What it takes now.
    pub bytes_after: u64,
    /// Items copied, with those that came meanwhile.
    pub items_copied: u64,
    /// Tombstones given up.
    pub tombstones_purged: u64,
    /// Completed prepares given up.
    pub prepares_dropped: u64,
    /// Items given up because the filter said so.
    pub items_filtered: u64,
    /// Items kept that the filter takes for expired.
    pub items_expired: u64,
    /// How often it had to catch up with what was committed meanwhile.
    pub catch_up_rounds: u64,
}

/// Long work in bounded steps.
pub trait Job: Send + fmt::Debug + 'static {
    /// Does a part of it.
    ///
    /// # Errors
    /// Whatever went wrong; [`EngineError::Aborted`] if the vBucket is no longer what the job began with. The job is
    /// over then, has left nothing behind, and the vBucket is as it was; unless the store is poisoned, or what it could
    /// not do was the last thing of all, the removal of what the vBucket needs no more: that is tried again later.
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError>;
}

/// What a compaction is to give up. The item with the vBucket's highest seqno always stays, and no tombstone goes that has
/// its collection's.
#[derive(Debug, Default)]
pub struct CompactionRequest {
    /// Tombstones of deletions before this time, in seconds since the epoch. Those that don't say when stay.
    pub purge_before: Option<u32>,
    /// Tombstones up to this seqno. With `purge_before` both must hold; with neither all tombstones stay.
    pub purge_upto: Option<Seqno>,
    /// What else the host knows of items.
    pub filter: Option<Box<dyn CompactionFilter>>,
}

/// A host's word on each live item that is about to be copied.
pub trait CompactionFilter: Send + fmt::Debug {
    /// Judges an item; its value is not there, having not been read. Items committed while the compaction runs are not
    /// asked about.
    fn judge(&mut self, item: &Item) -> Verdict;
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It goes, without a tombstone.
    Drop,
    /// It stays and is counted as expired: deleting it, with a tombstone, is for the host to do by a commit.
    Expire,
}

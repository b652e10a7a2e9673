//! The figures of documents in memory.

use std::iter::Sum;

/// The figures of one vBucket's documents in memory, or their sum over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentsStats {
    /// Number of keys that memory has an answer or a fetch for.
    pub entries: usize,
    /// Number of open prepares.
    pub prepares: usize,
    /// Number of fetches in progress.
    pub fetches: usize,
    /// Bytes of memory of entries, prepares and filters.
    pub memory_bytes: usize,
    /// Number of lookups that memory answered.
    pub hits: u64,
    /// Number of lookups that needed a fetch.
    pub misses: u64,
    /// Number of lookups that the filter of keys answered: the key is absent.
    pub filtered: u64,
    /// Number of entries that were evicted.
    pub evictions: u64,
}

impl Sum for DocumentsStats {
    fn sum<I: Iterator<Item = Self>>(stats: I) -> Self {
        stats.fold(Self::default(), |sum, one| Self {
            entries: sum.entries + one.entries,
            prepares: sum.prepares + one.prepares,
            fetches: sum.fetches + one.fetches,
            memory_bytes: sum.memory_bytes + one.memory_bytes,
            hits: sum.hits + one.hits,
            misses: sum.misses + one.misses,
            filtered: sum.filtered + one.filtered,
            evictions: sum.evictions + one.evictions,
        })
    }
}

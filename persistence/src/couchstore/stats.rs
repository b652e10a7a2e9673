//! The figures of a store, by field.
//!
//! They are counters and what open files' headers say: taking them reads no file.

use crate::contract::{CommonStats, EngineStats, Figure};

/// The figures of a store. Counters of events begin at 0 when the store is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CouchstoreStats {
    /// The figures that every engine has. Unreadable vBuckets are counted. Files are counted up to
    /// their last commits, and the cache is that of decoded tree nodes.
    pub common: CommonStats,
    /// The number of documents written by commits.
    pub documents_written: u64,
    /// The number of compactions that replaced a file.
    pub compactions: u64,
    /// The number of tree nodes found in memory.
    pub cache_hits: u64,
    /// The number of tree nodes read from a file.
    pub cache_misses: u64,
    /// The number of files that are open now.
    pub open_files: u64,
}

impl From<CouchstoreStats> for EngineStats {
    fn from(stats: CouchstoreStats) -> Self {
        Self {
            common: stats.common,
            own: vec![
                Figure::count("cache-hits", stats.cache_hits),
                Figure::count("cache-misses", stats.cache_misses),
                Figure::count("compactions", stats.compactions),
                Figure::count("documents-written", stats.documents_written),
                Figure::count("open-files", stats.open_files),
            ],
        }
    }
}

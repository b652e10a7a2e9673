//! The figures of a store, by field.
//!
//! They are counters and what open files' headers say: taking them reads no file.

use crate::contract::{EngineStats, Figure};

/// The figures of a store. Counters of events begin at 0 when the store is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CouchstoreStats {
    /// The number of vBuckets, unreadable ones included.
    pub vbuckets: u64,
    /// The number of commits.
    pub commits: u64,
    /// The number of documents written by commits.
    pub documents_written: u64,
    /// Bytes written to files.
    pub written_bytes: u64,
    /// The number of syncs of files and of the directory.
    pub syncs: u64,
    /// The number of compactions that replaced a file.
    pub compactions: u64,
    /// The number of tombstones that compactions purged.
    pub tombstones_purged: u64,
    /// Bytes of the files up to their last commits.
    pub file_bytes: u64,
    /// Bytes of the files that the last commits reach.
    pub live_bytes: u64,
    /// Memory of decoded tree nodes.
    pub cache_bytes: u64,
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
            vbuckets: stats.vbuckets,
            commits: stats.commits,
            syncs: stats.syncs,
            written_bytes: stats.written_bytes,
            file_bytes: stats.file_bytes,
            live_bytes: stats.live_bytes,
            cache_bytes: stats.cache_bytes,
            tombstones_purged: stats.tombstones_purged,
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

//! The figures of a store.
//!
//! # Invariants
//!
//! Figures are read from memory: nothing is loaded, and no file is read. So a host may ask as often as
//! it likes, and asking changes nothing.

use std::sync::Arc;

use super::state::Maintenance;
use crate::contract::{CommonStats, EngineStats, Figure};
use crate::logstor::format::to_u64;
use crate::logstor::log::{ClosedSegment, Segment};

/// Figures of an open store.
///
/// Of a vBucket that is not loaded (see [`LogstorStats::vbuckets_unloaded`]) only the records count
/// that were committed since the store was opened. So until everything is loaded,
/// [`live_bytes`](CommonStats::live_bytes), [`live_records`](Self::live_records) and
/// [`index_bytes`](Self::index_bytes) are too low, and [`debt_bytes`](Self::debt_bytes) is too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogstorStats {
    /// The figures that every engine has. Written bytes are those of all appends, with their padding.
    /// File bytes are those of the log files, live bytes those of the records that are needed. The
    /// cache is that of the blocks that gets have read.
    pub common: CommonStats,
    /// Zeros written to make files, since the store was opened.
    pub prepared_bytes: u64,
    /// Bytes that rewriting has written, since the store was opened.
    pub rewritten_bytes: u64,
    /// Bytes of the configured preallocation that are not made.
    pub unprepared_bytes: u64,
    /// Bytes of closed segments that rewriting could free: the compaction debt.
    pub debt_bytes: u64,
    /// Segments that are free.
    pub free_segments: u64,
    /// Groups of batches, each committed with one append, since the store was opened.
    pub groups: u64,
    /// Bytes of index images that were written, since the store was opened.
    pub image_bytes: u64,
    /// Index images that were made, since the store was opened.
    pub images: u64,
    /// Memory of the indexes.
    pub index_bytes: u64,
    /// Records that are needed.
    pub live_records: u64,
    /// Records that rewriting has copied, since the store was opened.
    pub records_rewritten: u64,
    /// Segments of all log files.
    pub segments: u64,
    /// Segments of commits that turned out to be one vBucket's, since the store was opened.
    pub segments_adopted: u64,
    /// Segments that rewriting has freed, since the store was opened.
    pub segments_compacted: u64,
    /// vBuckets that are not loaded.
    pub vbuckets_unloaded: u64,
}

impl From<LogstorStats> for EngineStats {
    fn from(stats: LogstorStats) -> Self {
        Self {
            common: stats.common,
            own: vec![
                Figure::bytes("bytes-prepared", stats.prepared_bytes),
                Figure::bytes("bytes-rewritten", stats.rewritten_bytes),
                Figure::bytes("bytes-unprepared", stats.unprepared_bytes),
                Figure::bytes("debt-bytes", stats.debt_bytes),
                Figure::count("free-segments", stats.free_segments),
                Figure::count("groups", stats.groups),
                Figure::bytes("image-bytes", stats.image_bytes),
                Figure::count("images", stats.images),
                Figure::bytes("index-bytes", stats.index_bytes),
                Figure::count("live-records", stats.live_records),
                Figure::count("records-rewritten", stats.records_rewritten),
                Figure::count("segments", stats.segments),
                Figure::count("segments-adopted", stats.segments_adopted),
                Figure::count("segments-compacted", stats.segments_compacted),
            ],
        }
    }
}

impl Maintenance {
    /// Returns the figures of the store.
    pub(in crate::logstor) fn stats(&self) -> LogstorStats {
        let store = &self.store;
        let segments = &store.log.segments;
        let census = segments.census();
        let segment_bytes = u64::from(segments.geometry().segment_bytes);
        let vbuckets: Vec<_> = store.registry.vbuckets.read().values().cloned().collect();
        let index_bytes = vbuckets
            .iter()
            .map(|vbucket| to_u64(vbucket.memory_bytes()));
        let uses = segments.uses();
        let in_use = || uses.iter().flatten();
        let live_bytes = in_use().map(|segment| segment.live_bytes()).sum();
        let live_records = in_use().map(|segment| segment.live_records()).sum();
        drop(uses);
        // A large record counts as a whole in its first segment, which has fewer bytes.
        let dead = |(segment, _): &(Arc<Segment>, ClosedSegment)| {
            u64::from(segment.bytes).saturating_sub(segment.live_bytes())
        };
        let counters = &store.context.counters;
        LogstorStats {
            common: CommonStats {
                vbuckets: to_u64(vbuckets.len()),
                commits: counters.commits.get(),
                syncs: counters.syncs.get(),
                written_bytes: counters.written_bytes.get(),
                file_bytes: u64::from(census.total) * segment_bytes,
                live_bytes,
                cache_bytes: to_u64(store.context.cache.memory_bytes()),
                tombstones_purged: counters.tombstones_purged.get(),
            },
            prepared_bytes: counters.prepared_bytes.get(),
            rewritten_bytes: counters.rewritten_bytes.get(),
            unprepared_bytes: segments.unprepared_bytes(),
            debt_bytes: segments.closed().iter().map(dead).sum(),
            free_segments: census.free.into(),
            groups: counters.groups.get(),
            image_bytes: counters.image_bytes.get(),
            images: counters.images.get(),
            index_bytes: index_bytes.sum(),
            live_records,
            records_rewritten: counters.records_rewritten.get(),
            segments: census.total.into(),
            segments_adopted: counters.segments_adopted.get(),
            segments_compacted: counters.segments_compacted.get(),
            vbuckets_unloaded: to_u64(store.registry.left_to_load()),
        }
    }
}

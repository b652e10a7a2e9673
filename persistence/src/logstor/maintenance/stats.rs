//! The figures of a store, by name.

use std::sync::Arc;

use super::state::Maintenance;
use crate::contract::{EngineStats, Figure};
use crate::logstor::log::{ClosedSegment, Segment};

impl Maintenance {
    /// Loads what is not loaded, because the live bytes of a vBucket are counted when it is loaded.
    /// A vBucket that can't be loaded is left out.
    pub(in crate::logstor) fn stats(&self) -> EngineStats {
        let store = &self.store;
        let _ = store.registry.load_all();
        let census = store.log.segments.census();
        let uses = store.log.segments.uses();
        let in_use = || uses.iter().flatten();
        let live_bytes = in_use().map(|segment| segment.live_bytes()).sum();
        let live_records = in_use().map(|segment| segment.live_records()).sum();
        drop(uses);
        let closed = store.log.segments.closed();
        // Bytes that rewriting could free.
        let dead = |(segment, _): &(Arc<Segment>, ClosedSegment)| {
            u64::from(segment.bytes) - segment.live_bytes().min(segment.bytes.into())
        };
        let debt_bytes: u64 = closed.iter().map(dead).sum();
        let vbuckets: Vec<_> = store.registry.vbuckets.read().values().cloned().collect();
        let counters = &store.context.counters;
        let index_bytes = vbuckets.iter().map(|vbucket| vbucket.memory_bytes() as u64);
        EngineStats {
            vbuckets: vbuckets.len() as u64,
            commits: counters.commits.get(),
            syncs: counters.syncs.get(),
            written_bytes: counters.written_bytes.get(),
            file_bytes: u64::from(census.total)
                * u64::from(store.log.segments.geometry().segment_bytes),
            live_bytes,
            cache_bytes: store.context.cache.memory_bytes() as u64,
            tombstones_purged: counters.tombstones_purged.get(),
            own: vec![
                Figure::bytes("bytes-prepared", counters.prepared_bytes.get()),
                Figure::bytes("bytes-rewritten", counters.rewritten_bytes.get()),
                Figure::bytes("bytes-unprepared", store.log.segments.unprepared_bytes()),
                Figure::bytes("debt-bytes", debt_bytes),
                Figure::count("free-segments", census.free.into()),
                Figure::count("groups", counters.groups.get()),
                Figure::bytes("image-bytes", counters.image_bytes.get()),
                Figure::count("images", counters.images.get()),
                Figure::bytes("index-bytes", index_bytes.sum()),
                Figure::count("live-records", live_records),
                Figure::count("records-rewritten", counters.records_rewritten.get()),
                Figure::count("segments", census.total.into()),
                Figure::count("segments-adopted", counters.segments_adopted.get()),
                Figure::count("segments-compacted", counters.segments_compacted.get()),
            ],
        }
    }
}

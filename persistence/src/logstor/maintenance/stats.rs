//! The figures of a store, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::Maintenance;
use crate::logstor::log::{ClosedSegment, Segment};

impl Maintenance {
    /// Loads what is not loaded, because the live bytes of a vBucket are counted when it is loaded.
    /// A vBucket that can't be loaded is left out.
    pub(in crate::logstor) fn stats(&self) -> BTreeMap<&'static str, u64> {
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
        BTreeMap::from([
            ("bytes-prepared", counters.prepared_bytes.get()),
            ("bytes-rewritten", counters.rewritten_bytes.get()),
            ("bytes-unprepared", store.log.segments.unprepared_bytes()),
            ("bytes-written", counters.written_bytes.get()),
            ("cache-bytes", store.context.cache.memory_bytes() as u64),
            ("commits", counters.commits.get()),
            ("debt-bytes", debt_bytes),
            (
                "file-bytes",
                u64::from(census.total) * u64::from(store.log.segments.geometry().segment_bytes),
            ),
            ("free-segments", census.free.into()),
            ("groups", counters.groups.get()),
            ("image-bytes", counters.image_bytes.get()),
            ("images", counters.images.get()),
            (
                "index-bytes",
                vbuckets
                    .iter()
                    .map(|vbucket| vbucket.memory_bytes() as u64)
                    .sum(),
            ),
            ("live-bytes", live_bytes),
            ("live-records", live_records),
            ("records-rewritten", counters.records_rewritten.get()),
            ("segments", census.total.into()),
            ("segments-adopted", counters.segments_adopted.get()),
            ("segments-compacted", counters.segments_compacted.get()),
            ("syncs", counters.syncs.get()),
            ("tombstones-purged", counters.tombstones_purged.get()),
            ("vbuckets", vbuckets.len() as u64),
        ])
    }
}

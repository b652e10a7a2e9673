//! A store's figures, and what upkeep they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Store;
use crate::logstor::config::RESERVE;
use crate::logstor::rewrite::Task;
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin};

/// Upkeep keeps so many segments free, so that commits need not make files.
const AHEAD: u32 = RESERVE + 4;
/// Fewer closed segments are not looked through for garbage.
const SEGMENTS_WORTH: u64 = 8;

impl Store {
    /// Bytes of the segments in use.
    pub(in crate::logstor) fn used_bytes(&self) -> u64 {
        let census = self.log.segments.census();
        u64::from(census.total - census.free) * u64::from(self.log.segments.geometry().segment_bytes)
    }

    /// What upkeep is due.
    pub(in crate::logstor) fn due(&self) -> Option<Task> {
        self.shared.check_writable().ok()?;
        let segments = &self.log.segments;
        let census = segments.census();
        if census.free < AHEAD && census.possible > 0 {
            return Some(Task::Prepare(AHEAD));
        }
        let closed = segments.closed();
        // One that somebody reads may have been taken apart already.
        let is_mixed = |(segment, closed): &&(Arc<Segment>, Closed)| {
            closed.owner.is_none() && closed.origin == Origin::Commits && segment.live_records() > 0
        };
        let mixed = closed.iter().filter(is_mixed);
        if mixed.count() > self.shared.config.mixed_segments_max {
            return Some(Task::Separate);
        }
        let bytes: u64 = closed.iter().map(|(segment, _)| u64::from(segment.bytes)).sum();
        let live: u64 = closed.iter().map(|(segment, _)| segment.live_bytes()).sum();
        let dead = u128::from(bytes.saturating_sub(live));
        let is_garbage = self
            .shared
            .config
            .garbage_percent
            .is_some_and(|percent| dead * 100 >= u128::from(bytes) * u128::from(percent));
        let is_short = census.free.saturating_add(census.possible) < census.total / 10;
        let mut looked_upto = self.looked_upto.lock();
        let next = segments.next_generation();
        let is_worth_it = closed.len() as u64 >= SEGMENTS_WORTH && next >= *looked_upto;
        ((is_garbage || is_short) && is_worth_it).then(|| {
            *looked_upto = next + SEGMENTS_WORTH;
            Task::Compact(None)
        })
    }

    /// Loads what is not loaded: else what lives would not be counted. What can't be loaded is not.
    pub(in crate::logstor) fn stats(&self) -> BTreeMap<&'static str, u64> {
        let _ = self.load_all();
        let census = self.log.segments.census();
        let table = self.log.segments.table();
        let in_use = || table.iter().flatten();
        let live_bytes = in_use().map(|segment| segment.live_bytes()).sum();
        let live_records = in_use().map(|segment| segment.live_records()).sum();
        drop(table);
        let branches: Vec<_> = self.branches.read().values().cloned().collect();
        let counters = &self.shared.counters;
        BTreeMap::from([
            ("bytes-rewritten", counters.rewritten_bytes.get()),
            ("bytes-written", counters.written_bytes.get()),
            ("commits", counters.commits.get()),
            ("file-bytes", u64::from(census.total) * u64::from(self.log.segments.geometry().segment_bytes)),
            ("free-segments", census.free.into()),
            ("groups", counters.groups.get()),
            ("image-bytes", counters.image_bytes.get()),
            ("images", counters.images.get()),
            ("index-bytes", branches.iter().map(|branch| branch.memory_bytes() as u64).sum()),
            ("live-bytes", live_bytes),
            ("live-records", live_records),
            ("records-rewritten", counters.records_rewritten.get()),
            ("segments", census.total.into()),
            ("segments-adopted", counters.segments_adopted.get()),
            ("segments-compacted", counters.segments_compacted.get()),
            ("syncs", counters.syncs.get()),
            ("tombstones-purged", counters.tombstones_purged.get()),
            ("vbuckets", branches.len() as u64),
        ])
    }
}

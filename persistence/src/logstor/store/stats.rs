//! A store's figures, and what upkeep they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use crate::logstor::rewrite::{MARK, Task};
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin};

const NANOSECONDS: u64 = 1_000_000_000;
/// Upkeep keeps so many segments free, so that commits need not make files.
const AHEAD: u32 = MARK;
/// ... and, where files have many, so much of a file: it takes its time to make the next one.
const AHEAD_OF_FILE: u32 = 4;
/// Fewer closed segments are not looked through for garbage.
const SEGMENTS_WORTH: u64 = 8;

impl Store {
    /// Bytes of the segments in use.
    pub(in crate::logstor) fn used_bytes(&self) -> u64 {
        let census = self.log.segments.census();
        u64::from(census.total - census.free)
            * u64::from(self.log.segments.geometry().segment_bytes)
    }

    /// Making room ahead of commits, if that is due.
    pub(in crate::logstor) fn due_room(&self) -> Option<Task> {
        self.shared.check_writable().ok()?;
        let segments = &self.log.segments;
        let ahead = AHEAD.max(segments.geometry().segments_per_file / AHEAD_OF_FILE);
        segments.due(ahead).map(Task::Prepare)
    }

    /// What other upkeep is due.
    pub(in crate::logstor) fn due(&self) -> Option<Task> {
        self.shared.check_writable().ok()?;
        let segments = &self.log.segments;
        let census = segments.census();
        let closed = segments.closed();
        // One that somebody reads may have been taken apart already.
        let is_mixed = |(segment, closed): &&(Arc<Segment>, Closed)| {
            closed.owner.is_none() && closed.origin == Origin::Commits && segment.live_records() > 0
        };
        let config = &self.shared.config;
        let now = self.shared.latest.load(Ordering::Relaxed);
        let age_max = u64::from(config.mixed_seconds_max) * NANOSECONDS;
        let mixed = || closed.iter().filter(is_mixed);
        let is_old = mixed().any(|(segment, _)| segment.age(now) >= age_max)
            || self.writer.mixed_age(now).is_some_and(|age| age >= age_max);
        if is_old || mixed().count() > config.mixed_segments_max {
            return Some(Task::Separate);
        }
        let bytes: u64 = closed
            .iter()
            .map(|(segment, _)| u64::from(segment.bytes))
            .sum();
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
            *looked_upto = next.saturating_add(SEGMENTS_WORTH);
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
        let closed = self.log.segments.closed();
        // What rewriting could give back, and would have to, were there no other room.
        let dead = |(segment, _): &(Arc<Segment>, Closed)| {
            u64::from(segment.bytes) - segment.live_bytes().min(segment.bytes.into())
        };
        let debt_bytes: u64 = closed.iter().map(dead).sum();
        let branches: Vec<_> = self.registry.branches.read().values().cloned().collect();
        let counters = &self.shared.counters;
        BTreeMap::from([
            ("bytes-prepared", counters.prepared_bytes.get()),
            ("bytes-rewritten", counters.rewritten_bytes.get()),
            ("bytes-unprepared", self.log.segments.unprepared_bytes()),
            ("bytes-written", counters.written_bytes.get()),
            ("cache-bytes", self.shared.cache.memory_bytes() as u64),
            ("commits", counters.commits.get()),
            ("debt-bytes", debt_bytes),
            (
                "file-bytes",
                u64::from(census.total) * u64::from(self.log.segments.geometry().segment_bytes),
            ),
            ("free-segments", census.free.into()),
            ("groups", counters.groups.get()),
            ("image-bytes", counters.image_bytes.get()),
            ("images", counters.images.get()),
            (
                "index-bytes",
                branches
                    .iter()
                    .map(|branch| branch.memory_bytes() as u64)
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
            ("vbuckets", branches.len() as u64),
        ])
    }
}

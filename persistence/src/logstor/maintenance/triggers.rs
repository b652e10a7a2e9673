//! The upkeep that is due, by a store's figures.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::compaction::LOW_SPACE_SEGMENTS;
use super::rewrite_job::RewriteGoal;
use super::state::Maintenance;
use crate::logstor::format::to_u64;
use crate::logstor::log::{ClosedSegment, Origin, Segment};

const NANOSECONDS: u64 = 1_000_000_000;
/// Segments that upkeep keeps free, so that commits do not wait for a new file.
const FREE_AHEAD: u32 = LOW_SPACE_SEGMENTS;
/// Share of a file that upkeep keeps free, if files have many segments: making the next one takes
/// long.
const FREE_AHEAD_OF_FILE: u32 = 4;
/// Closed segments below which garbage is not looked for.
const SEGMENTS_WORTH_A_CHECK: u64 = 8;

impl Maintenance {
    /// Returns the space to be made ahead of commits, if that is due.
    pub(in crate::logstor) fn due_space(&self) -> Option<RewriteGoal> {
        self.store.context.check_writable().ok()?;
        let segments = &self.store.log.segments;
        let ahead = FREE_AHEAD.max(segments.geometry().segments_per_file / FREE_AHEAD_OF_FILE);
        segments.due_space(ahead).map(RewriteGoal::Preallocate)
    }

    /// Returns other rewriting that is due.
    pub(in crate::logstor) fn due(&self) -> Option<RewriteGoal> {
        self.store.context.check_writable().ok()?;
        let closed = self.store.log.segments.closed();
        if self.is_separation_due(&closed) {
            return Some(RewriteGoal::Separate);
        }
        self.is_compaction_due(&closed)
            .then_some(RewriteGoal::Compact(None))
    }

    fn is_separation_due(&self, closed: &[(Arc<Segment>, ClosedSegment)]) -> bool {
        // A segment without live records was separated already, and a reader holds it.
        let is_mixed = |(segment, closed): &&(Arc<Segment>, ClosedSegment)| {
            closed.owner.is_none() && closed.origin == Origin::Commits && segment.live_records() > 0
        };
        let context = &self.store.context;
        let now = context.latest.load(Ordering::Relaxed);
        let age_max = u64::from(context.config.mixed_seconds_max) * NANOSECONDS;
        let mixed = || closed.iter().filter(is_mixed);
        let is_old = mixed().any(|(segment, _)| segment.age(now) >= age_max)
            || (self.store.commits.mixed_age(now)).is_some_and(|age| age >= age_max);
        is_old || mixed().count() > context.config.mixed_segments_max
    }

    /// Returns whether there is garbage worth a compaction, and when there is, puts off the next
    /// check.
    fn is_compaction_due(&self, closed: &[(Arc<Segment>, ClosedSegment)]) -> bool {
        let segments = &self.store.log.segments;
        let census = segments.census();
        let all_bytes = closed.iter().map(|(segment, _)| u64::from(segment.bytes));
        let bytes: u64 = all_bytes.sum();
        let live: u64 = closed.iter().map(|(segment, _)| segment.live_bytes()).sum();
        // A large record counts as a whole in its first segment, which has fewer bytes.
        let dead = u128::from(bytes.saturating_sub(live));
        let is_garbage = (self.store.context.config.garbage_percent)
            .is_some_and(|percent| dead * 100 >= u128::from(bytes) * u128::from(percent));
        let is_short = census.available() < census.total / 10;
        let mut next_check = self.next_gc_check_generation.lock();
        let next = segments.next_generation();
        let is_worth_it = to_u64(closed.len()) >= SEGMENTS_WORTH_A_CHECK && next >= *next_check;
        let is_due = (is_garbage || is_short) && is_worth_it;
        if is_due {
            *next_check = next.saturating_add(SEGMENTS_WORTH_A_CHECK);
        }
        is_due
    }
}

//! Rewriting as a job: what is wanted goes in; steps choose victims, copy, name the copies and free, until nothing is left
//! to gain.
//!
//! Always: only segments that were closed when it began are rewritten, so that it ends; what it does between two points is
//! done beside commits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use checkpoint::Vbid;

use super::choose::{Candidate, VICTIMS_MAX, by_gain};
use super::reclaim::is_dead;
use super::round::{Packing, Round};
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin};
use crate::logstor::store::Store;
use crate::{Budget, CompactionReport, EngineError, Job, Progress};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum Task {
    /// Segments with records of several vBuckets are taken apart.
    Separate,
    /// That, and whatever gives segments free: of one vBucket and of all together, or of everybody.
    Compact(Option<Vbid>),
    /// So many segments are to be free.
    Prepare(u32),
}

impl Task {
    const fn frees(self) -> bool {
        !matches!(self, Self::Prepare(_))
    }
}

#[derive(Debug)]
enum Stage {
    Begin,
    Choose,
    Copy(Round),
    Copied(Round),
    Swap(Round),
    Free(Round),
    Over,
}

/// The most that is copied in one append: commits wait for the same device.
const APPEND_BYTES_MAX: u64 = 256 << 10;

#[derive(Debug)]
pub(in crate::logstor) struct RewriteJob {
    store: Arc<Store>,
    task: Task,
    stage: Stage,
    /// Segments of later uses are not looked at.
    upto: u64,
    /// Generations of what was tried: what somebody still reads is not tried twice.
    tried: BTreeSet<u64>,
    /// Named points that have been reached, and are to be told.
    points: VecDeque<&'static str>,
    report: CompactionReport,
}

impl RewriteJob {
    /// There must not be another one: the caller has seen to that.
    pub(in crate::logstor) fn new(store: Arc<Store>, task: Task, report: CompactionReport) -> Self {
        let bytes_before = store.used_bytes();
        let report = CompactionReport { bytes_before, ..report };
        Self {
            store,
            task,
            stage: Stage::Begin,
            upto: 0,
            tried: BTreeSet::new(),
            points: VecDeque::new(),
            report,
        }
    }

    fn victims(&self) -> Vec<(Arc<Segment>, Closed)> {
        let closed = self.store.log.segments.closed().into_iter();
        let is_new =
            |segment: &Segment| segment.generation < self.upto && !self.tried.contains(&segment.generation);
        let mut closed: Vec<_> = closed.filter(|(segment, _)| is_new(segment)).collect();
        let is_mixed = |closed: &Closed| closed.owner.is_none() && closed.origin == Origin::Commits;
        let mut dead = closed.extract_if(.., |one| is_dead(one)).take(VICTIMS_MAX).peekable();
        if dead.peek().is_some() {
            return dead.collect();
        }
        drop(dead);
        let mut mixed = closed.extract_if(.., |(_, closed)| is_mixed(closed)).take(VICTIMS_MAX).peekable();
        if mixed.peek().is_some() || self.task == Task::Separate {
            return mixed.collect();
        }
        drop(mixed);
        let is_ours = |closed: &Closed| match self.task {
            Task::Compact(Some(vb)) => closed.owner.is_none_or(|owner| owner == vb),
            _ => true,
        };
        closed.retain(|(_, closed)| is_ours(closed) && !matches!(closed.origin, Origin::Large { .. }));
        let candidates =
            closed.iter().map(|(segment, _)| Candidate { id: segment.id, live_bytes: segment.live_bytes() });
        let chosen = by_gain(candidates.collect(), self.store.log.segments.geometry().segment_bytes);
        closed.retain(|(segment, _)| chosen.contains(&segment.id));
        closed
    }

    fn advance(&mut self, budget: Budget) -> Result<(), EngineError> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin if self.task.frees() && self.store.load_one()? => Stage::Begin,
            Stage::Begin => self.begin()?,
            Stage::Choose => {
                let victims = self.victims();
                let is_first = self.tried.is_empty();
                self.tried.extend(victims.iter().map(|(segment, _)| segment.generation));
                match Round::begin(&self.store, victims, Packing::Apart)? {
                    None => self.end(),
                    Some(round) => {
                        self.points.extend(is_first.then_some("after-index-before-separate"));
                        Stage::Copy(round)
                    }
                }
            }
            Stage::Copy(round) if !round.has_copies_left() => {
                self.points.push_back("compact-before-free");
                Stage::Free(round)
            }
            Stage::Copy(mut round) => {
                let bytes = budget.bytes.min(APPEND_BYTES_MAX);
                round.copy(&mut self.store.outputs.lock(), Budget { bytes, ..budget })?;
                self.points.push_back("after-write-before-index");
                Stage::Copied(round)
            }
            Stage::Copied(round) => {
                self.points.push_back("compact-after-copy");
                Stage::Swap(round)
            }
            Stage::Swap(mut round) => {
                round.swap();
                Stage::Copy(round)
            }
            Stage::Free(round) => {
                self.report.items_copied += round.records_copied;
                round.free(&mut self.store.outputs.lock())?;
                Stage::Choose
            }
            Stage::Over => Stage::Over,
        };
        Ok(())
    }

    fn begin(&mut self) -> Result<Stage, EngineError> {
        if let Task::Prepare(segments) = self.task {
            self.store.log.segments.ensure_free(segments)?;
            return Ok(self.end());
        }
        self.store.writer.close_active(&self.store.log);
        self.upto = self.store.log.segments.next_generation();
        Ok(Stage::Choose)
    }

    fn end(&mut self) -> Stage {
        self.report.bytes_after = self.store.used_bytes();
        Stage::Over
    }
}

impl Job for RewriteJob {
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError> {
        if let Some(point) = self.points.pop_front() {
            return Ok(Progress::Reached(point));
        }
        self.store.shared.check_writable()?;
        self.advance(budget)?;
        if let Some(point) = self.points.pop_front() {
            return Ok(Progress::Reached(point));
        }
        let (stage, left) = match &self.stage {
            Stage::Over => return Ok(Progress::Done(self.report)),
            Stage::Begin | Stage::Choose => ("choose", 0),
            Stage::Copy(round) | Stage::Copied(round) | Stage::Swap(round) => ("copy", round.copies_left()),
            Stage::Free(_) => ("free", 0),
        };
        let done = self.report.items_copied;
        Ok(Progress::Working { stage, done, of: done + left })
    }
}

impl Drop for RewriteJob {
    fn drop(&mut self) {
        // What was written counts, and the victims are free again, before the next one begins.
        self.stage = Stage::Over;
        self.store.rewriting.lock().remove(&self.key());
    }
}

impl RewriteJob {
    fn key(&self) -> Option<Vbid> {
        match self.task {
            Task::Compact(vb) => vb,
            Task::Separate | Task::Prepare(_) => None,
        }
    }
}

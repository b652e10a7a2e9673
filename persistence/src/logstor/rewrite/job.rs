//! Rewriting as a job: what is wanted goes in; steps choose victims, copy, name the copies and free, until nothing is left
//! to gain.
//!
//! Always: only segments that were closed when it began are rewritten, so that it ends; what it does between two points is
//! done beside commits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::sync::Mutex;
use lowtide_checkpoint::Vbid;

use super::choose::{Candidate, VICTIMS_MAX, by_gain};
use super::pace::Pace;
use super::reclaim::is_dead;
use super::relief::MARK;
use super::round::{Packing, Round};
use crate::contract::{Budget, CompactionReport, EngineError, Job, Progress};
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin, Room};
use crate::logstor::store::{BorrowedStore, Store};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum Task {
    /// Segments with records of several vBuckets are taken apart.
    Separate,
    /// That, and whatever gives segments free: of one vBucket and of all together, or of everybody.
    Compact(Option<Vbid>),
    /// So much room is to be there.
    Prepare(Room),
}

impl Task {
    const fn frees(self) -> bool {
        !matches!(self, Self::Prepare(_))
    }
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    Choose,
    Copy,
    /// To be copied, once commits have had their share.
    Ahead,
    Copied,
    Swap,
    Free,
    Over,
}

/// The round a job is at. The store has it, and the job takes it for a step. Who is short of room may take it away: what was
/// copied counts, the rest is anybody's again, and the job chooses anew (L28).
pub(in crate::logstor) type Current = Arc<Mutex<Option<Round>>>;

/// The most that is copied in one append: commits wait for the same device.
const APPEND_BYTES_MAX: u64 = 256 << 10;
/// What is made of a file in a step, whatever its budget is, at least: each has a sync.
const GROWTH_BYTES_MIN: u64 = 256 << 10;
/// ... and at most.
const GROWTH_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(in crate::logstor) struct RewriteJob {
    store: BorrowedStore,
    task: Task,
    stage: Stage,
    /// Segments of later uses are not looked at.
    upto: u64,
    /// Generations of what was tried: what somebody still reads is not tried twice.
    tried: BTreeSet<u64>,
    /// Named points that have been reached, and are to be told.
    points: VecDeque<&'static str>,
    /// Records of the round that are to be copied.
    left: u64,
    pace: Pace,
    report: CompactionReport,
}

impl RewriteJob {
    /// There must not be another one: the caller has seen to that.
    pub(in crate::logstor) fn new(
        store: &Arc<Store>,
        task: Task,
        report: CompactionReport,
    ) -> Self {
        let bytes_before = store.used_bytes();
        let report = CompactionReport {
            bytes_before,
            ..report
        };
        Self {
            store: BorrowedStore::of(store),
            task,
            stage: Stage::Begin,
            upto: 0,
            tried: BTreeSet::new(),
            points: VecDeque::new(),
            left: 0,
            pace: Pace::default(),
            report,
        }
    }

    fn victims(&self, store: &Store) -> Vec<(Arc<Segment>, Closed)> {
        let closed = store.log.segments.closed().into_iter();
        let is_new = |segment: &Segment| {
            segment.generation < self.upto && !self.tried.contains(&segment.generation)
        };
        let mut closed: Vec<_> = closed.filter(|(segment, _)| is_new(segment)).collect();
        let is_mixed = |closed: &Closed| closed.owner.is_none() && closed.origin == Origin::Commits;
        let mut dead = closed
            .extract_if(.., |one| is_dead(one))
            .take(VICTIMS_MAX)
            .peekable();
        if dead.peek().is_some() {
            return dead.collect();
        }
        drop(dead);
        let mut mixed = closed
            .extract_if(.., |(_, closed)| is_mixed(closed))
            .take(VICTIMS_MAX)
            .peekable();
        if mixed.peek().is_some() || self.task == Task::Separate {
            return mixed.collect();
        }
        drop(mixed);
        let is_ours = |closed: &Closed| match self.task {
            Task::Compact(Some(vb)) => closed.owner.is_none_or(|owner| owner == vb),
            _ => true,
        };
        closed.retain(|(_, closed)| {
            is_ours(closed) && !matches!(closed.origin, Origin::Large { .. })
        });
        let candidates = closed.iter().map(|(segment, _)| Candidate {
            id: segment.id,
            live_bytes: segment.live_bytes(),
        });
        let chosen = by_gain(
            candidates.collect(),
            store.log.segments.geometry().segment_bytes,
        );
        closed.retain(|(segment, _)| chosen.contains(&segment.id));
        closed
    }

    fn advance(&mut self, store: &Store, budget: Budget) -> Result<Stage, EngineError> {
        if let Stage::Begin = self.stage {
            if self.task.frees() && store.load_one()? {
                return Ok(Stage::Begin);
            }
            return self.begin(store, budget);
        }
        if let Stage::Over = self.stage {
            return Ok(Stage::Over);
        }
        // Its own is there until it is dropped.
        let current = store
            .rewriting
            .lock()
            .get(&self.key())
            .cloned()
            .unwrap_or_default();
        let mut current = current.lock();
        if let Stage::Choose = self.stage {
            let victims = self.victims(store);
            let is_first = self.tried.is_empty();
            self.tried
                .extend(victims.iter().map(|(segment, _)| segment.generation));
            *current = Round::begin(&store.registry, victims, Packing::Apart)?;
            if current.is_none() {
                return Ok(self.end(store));
            }
            self.points
                .extend(is_first.then_some("after-index-before-separate"));
            return Ok(Stage::Copy);
        }
        // Gone if somebody needed room.
        let Some(mut round) = current.take() else {
            return Ok(Stage::Choose);
        };
        let is_copying =
            matches!(self.stage, Stage::Copy | Stage::Ahead) && round.has_copies_left();
        let is_ahead = is_copying && self.is_ahead(store);
        let next = match self.stage {
            Stage::Copy | Stage::Ahead if !round.has_copies_left() => {
                self.points.push_back("compact-before-free");
                Stage::Free
            }
            Stage::Copy | Stage::Ahead if is_ahead => Stage::Ahead,
            Stage::Copy | Stage::Ahead => {
                let bytes = budget.bytes.min(APPEND_BYTES_MAX);
                let moved = round.copy(&mut store.outputs.lock(), Budget { bytes, ..budget })?;
                self.pace.moved(moved);
                self.points.push_back("after-write-before-index");
                Stage::Copied
            }
            Stage::Copied => {
                self.points.push_back("compact-after-copy");
                Stage::Swap
            }
            Stage::Swap => {
                round.swap();
                Stage::Copy
            }
            Stage::Free => {
                self.report.items_copied += round.records_copied;
                round.free(&mut store.outputs.lock())?;
                return Ok(Stage::Choose);
            }
            stage @ (Stage::Begin | Stage::Choose | Stage::Over) => stage,
        };
        self.left = round.copies_left();
        *current = Some(round);
        Ok(next)
    }

    fn is_ahead(&mut self, store: &Store) -> bool {
        let census = store.log.segments.census();
        let is_short = census.free.saturating_add(census.possible) < MARK;
        !is_short && self.pace.is_ahead(store.shared.committed_bytes())
    }

    fn begin(&mut self, store: &Store, budget: Budget) -> Result<Stage, EngineError> {
        if let Task::Prepare(room) = self.task {
            let bytes = budget.bytes.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
            let is_done = store.log.segments.prepare(room, bytes)?;
            return Ok(if is_done {
                self.end(store)
            } else {
                Stage::Begin
            });
        }
        store.writer.close_active(&store.log);
        self.upto = store.log.segments.next_generation();
        Ok(Stage::Choose)
    }

    fn end(&mut self, store: &Store) -> Stage {
        self.report.bytes_after = store.used_bytes();
        Stage::Over
    }
}

impl Job for RewriteJob {
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError> {
        if let Some(point) = self.points.pop_front() {
            return Ok(Progress::Reached(point));
        }
        let borrowed = self.store.clone();
        self.stage = match borrowed.step(|store| self.advance(store, budget)) {
            Ok(stage) => stage,
            Err(error) => {
                self.stage = Stage::Over;
                return Err(error);
            }
        };
        if let Some(point) = self.points.pop_front() {
            return Ok(Progress::Reached(point));
        }
        let (stage, left) = match self.stage {
            Stage::Over => return Ok(Progress::Done(self.report)),
            Stage::Ahead => return Ok(Progress::Ahead),
            Stage::Begin | Stage::Choose => ("choose", 0),
            Stage::Copy | Stage::Copied | Stage::Swap => ("copy", self.left),
            Stage::Free => ("free", 0),
        };
        let done = self.report.items_copied;
        Ok(Progress::Working {
            stage,
            done,
            of: done + left,
        })
    }
}

impl Drop for RewriteJob {
    fn drop(&mut self) {
        let Some(store) = self.store.in_memory() else {
            return;
        };
        // What was written counts, and the victims are free again, before the next one begins.
        let current = store.rewriting.lock().get(&self.key()).cloned();
        if let Some(current) = current {
            *current.lock() = None;
        }
        store.rewriting.lock().remove(&self.key());
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

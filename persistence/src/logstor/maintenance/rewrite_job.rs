//! Rewriting as a job: its steps choose victims, copy, install the copies and free the victims,
//! until nothing is gained any more.
//!
//! # Invariants
//!
//! Only segments that were closed when the job began are rewritten, so that it ends. What it does
//! between two points takes place concurrently with commits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant;

use super::compaction::{
    Candidate, CompactionRound, LOW_SPACE_SEGMENTS, Packing, VICTIMS_MAX, is_dead, select_by_gain,
};
use super::pacing::Pacing;
use super::state::Maintenance;
use super::store_lease::StoreLease;
use crate::contract::{
    Budget, CompactionReport, EngineError, EnginePoint, Job, JobProgress, JobStage,
};
use crate::logstor::log::{ClosedSegment, Origin, Segment, SpaceTarget};

/// The purpose of a rewriting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum RewriteGoal {
    /// Separates segments with records of several vBuckets.
    Separate,
    /// Separates, and rewrites all segments that free others: those of one vBucket and mixed ones,
    /// or all.
    Compact(Option<Vbid>),
    /// Makes log files until there is this much space.
    Preallocate(SpaceTarget),
}

impl RewriteGoal {
    const fn frees(self) -> bool {
        !matches!(self, Self::Preallocate(_))
    }

    const fn key(self) -> Option<Vbid> {
        match self {
            Self::Compact(vb) => vb,
            Self::Separate | Self::Preallocate(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    Choose,
    Copy,
    /// Same as `Copy`, while commits catch up.
    Ahead,
    Copied,
    Install,
    Free,
    Over,
}

/// Bytes that are copied in one append, at most: commits wait for the same device.
const APPEND_BYTES_MAX: u64 = 256 << 10;
/// Bytes of a file that are made in a step whatever its budget is, at least: each step has a sync.
const GROWTH_BYTES_MIN: u64 = 256 << 10;
/// Bytes of a file that are made in a step, at most.
const GROWTH_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct RewriteJob {
    lease: StoreLease,
    goal: RewriteGoal,
    stage: Stage,
    /// Segments of this generation or later are not considered.
    upto: u64,
    /// Generations of victims: a segment that a reader holds is not tried twice.
    tried: BTreeSet<u64>,
    /// Named points that were reached and not reported.
    points: VecDeque<EnginePoint>,
    /// Records of the round that are left to copy.
    left: u64,
    pacing: Pacing,
    report: CompactionReport,
}

impl RewriteJob {
    /// The caller has registered the job.
    pub(super) fn new(
        maintenance: &Arc<Maintenance>,
        goal: RewriteGoal,
        report: CompactionReport,
    ) -> Self {
        let report = CompactionReport {
            bytes_before: maintenance.used_bytes(),
            ..report
        };
        Self {
            lease: StoreLease::of(maintenance),
            goal,
            stage: Stage::Begin,
            upto: 0,
            tried: BTreeSet::new(),
            points: VecDeque::new(),
            left: 0,
            pacing: Pacing::default(),
            report,
        }
    }

    /// Selects victims: dead segments first, then mixed ones, then those whose rewriting gains
    /// most.
    fn victims(&self, maintenance: &Maintenance) -> Vec<(Arc<Segment>, ClosedSegment)> {
        let segments = &maintenance.store.log.segments;
        let is_new = |segment: &Segment| {
            segment.generation < self.upto && !self.tried.contains(&segment.generation)
        };
        let mut closed = segments.closed();
        closed.retain(|(segment, _)| is_new(segment));
        let dead: Vec<_> = closed
            .extract_if(.., |one| is_dead(one))
            .take(VICTIMS_MAX)
            .collect();
        if !dead.is_empty() {
            return dead;
        }
        let is_mixed =
            |closed: &ClosedSegment| closed.owner.is_none() && closed.origin == Origin::Commits;
        let mixed: Vec<_> = closed
            .extract_if(.., |(_, closed)| is_mixed(closed))
            .take(VICTIMS_MAX)
            .collect();
        if !mixed.is_empty() || self.goal == RewriteGoal::Separate {
            return mixed;
        }
        let is_ours = |closed: &ClosedSegment| match self.goal {
            RewriteGoal::Compact(Some(vb)) => closed.owner.is_none_or(|owner| owner == vb),
            _ => true,
        };
        closed.retain(|(_, closed)| {
            is_ours(closed) && !matches!(closed.origin, Origin::Large { .. })
        });
        let candidates = closed.iter().map(|(segment, _)| Candidate {
            id: segment.id,
            live_bytes: segment.live_bytes(),
        });
        let segment_bytes = segments.geometry().segment_bytes;
        let chosen = select_by_gain(candidates.collect(), segment_bytes);
        closed.retain(|(segment, _)| chosen.contains(&segment.id));
        closed
    }

    fn advance(&mut self, maintenance: &Maintenance, budget: Budget) -> Result<Stage, EngineError> {
        match self.stage {
            Stage::Begin if self.goal.frees() && maintenance.store.registry.load_one()? => {
                return Ok(Stage::Begin);
            }
            Stage::Begin => return self.begin(maintenance, budget),
            Stage::Over => return Ok(Stage::Over),
            _ => {}
        }
        let current = maintenance
            .running
            .round(self.goal.key())
            .invariant("L28", "a job is registered until it is dropped")
            .map_err(|violation| maintenance.store.context.internal(violation))?;
        let mut current = current.lock();
        if let Stage::Choose = self.stage {
            *current = self.choose(maintenance)?;
            return Ok(if current.is_none() {
                self.end(maintenance)
            } else {
                Stage::Copy
            });
        }
        // A commit that needed space may have taken it away.
        let Some(round) = current.take() else {
            return Ok(Stage::Choose);
        };
        let (next, round) = self.go_on(maintenance, round, budget)?;
        *current = round;
        Ok(next)
    }

    fn begin(&mut self, maintenance: &Maintenance, budget: Budget) -> Result<Stage, EngineError> {
        let store = &maintenance.store;
        if let RewriteGoal::Preallocate(target) = self.goal {
            let bytes = budget.bytes.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
            let is_done = store.log.segments.preallocate_step(target, bytes)?;
            return Ok(if is_done {
                self.end(maintenance)
            } else {
                Stage::Begin
            });
        }
        store.commits.close_active();
        self.upto = store.log.segments.next_generation();
        Ok(Stage::Choose)
    }

    fn choose(
        &mut self,
        maintenance: &Maintenance,
    ) -> Result<Option<CompactionRound>, EngineError> {
        let victims = self.victims(maintenance);
        let is_first = self.tried.is_empty();
        self.tried
            .extend(victims.iter().map(|(segment, _)| segment.generation));
        let registry = &maintenance.store.registry;
        let round = CompactionRound::begin(registry, victims, Packing::Apart)?;
        if is_first && round.is_some() {
            self.points.push_back(EnginePoint::AfterIndexBeforeSeparate);
        }
        Ok(round)
    }

    /// Advances a round by a stage. Returns the round unless it is over.
    fn go_on(
        &mut self,
        maintenance: &Maintenance,
        mut round: CompactionRound,
        budget: Budget,
    ) -> Result<(Stage, Option<CompactionRound>), EngineError> {
        let is_copying = matches!(self.stage, Stage::Copy | Stage::Ahead);
        let has_copies_left = round.has_copies_left();
        let is_ahead = is_copying && has_copies_left && self.is_ahead(maintenance);
        let next = match self.stage {
            Stage::Copy | Stage::Ahead if !has_copies_left => {
                self.points.push_back(EnginePoint::CompactBeforeFree);
                Stage::Free
            }
            Stage::Copy | Stage::Ahead if is_ahead => Stage::Ahead,
            Stage::Copy | Stage::Ahead => {
                let budget = Budget {
                    bytes: budget.bytes.min(APPEND_BYTES_MAX),
                    ..budget
                };
                let moved = round.copy(&mut maintenance.outputs.lock(), budget)?;
                self.pacing.moved(moved);
                self.points.push_back(EnginePoint::AfterWriteBeforeIndex);
                Stage::Copied
            }
            Stage::Copied => {
                self.points.push_back(EnginePoint::CompactAfterCopy);
                Stage::Install
            }
            Stage::Install => {
                round.install_copies();
                Stage::Copy
            }
            Stage::Free => {
                self.report.items_copied += round.records_copied();
                round.free_victims(&mut maintenance.outputs.lock())?;
                return Ok((Stage::Choose, None));
            }
            stage @ (Stage::Begin | Stage::Choose | Stage::Over) => stage,
        };
        self.left = round.copies_left();
        Ok((next, Some(round)))
    }

    fn is_ahead(&mut self, maintenance: &Maintenance) -> bool {
        let is_short = maintenance.store.log.segments.census().available() < LOW_SPACE_SEGMENTS;
        let committed = maintenance.store.context.counters.committed_bytes();
        !is_short && self.pacing.is_ahead(committed)
    }

    /// Reports the next point, if one was reached.
    fn next_point(&mut self) -> Option<JobProgress> {
        let point = self.points.pop_front()?;
        Some(JobProgress::Reached(point))
    }

    fn end(&mut self, maintenance: &Maintenance) -> Stage {
        self.report.bytes_after = maintenance.used_bytes();
        Stage::Over
    }
}

impl Job for RewriteJob {
    fn step(&mut self, budget: Budget) -> Result<JobProgress, EngineError> {
        if let Some(reached) = self.next_point() {
            return Ok(reached);
        }
        let lease = self.lease.clone();
        self.stage = match lease.step(|maintenance| self.advance(maintenance, budget)) {
            Ok(stage) => stage,
            Err(error) => {
                self.stage = Stage::Over;
                return Err(error);
            }
        };
        if let Some(reached) = self.next_point() {
            return Ok(reached);
        }
        let (stage, left) = match self.stage {
            Stage::Over => return Ok(JobProgress::Done(self.report)),
            Stage::Ahead => return Ok(JobProgress::Ahead),
            Stage::Begin | Stage::Choose => (JobStage::Choosing, 0),
            Stage::Copy | Stage::Copied | Stage::Install => (JobStage::Rewriting, self.left),
            Stage::Free => (JobStage::Freeing, 0),
        };
        let done = self.report.items_copied;
        Ok(JobProgress::Working {
            stage,
            done,
            of: done + left,
        })
    }
}

impl Drop for RewriteJob {
    fn drop(&mut self) {
        if let Some(maintenance) = self.lease.in_memory() {
            maintenance.running.end(self.goal.key());
        }
    }
}

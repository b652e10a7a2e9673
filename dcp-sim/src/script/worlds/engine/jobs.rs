//! Compactions of an engine's world: started, paused at a point, resumed, or interrupted there by a
//! power loss. A commit can be interrupted at its own points.
//!
//! # Invariants
//!
//! - At most one compaction is in progress.
//! - Only commands advance it, in steps so small that each stage takes several.

use std::sync::{Arc, Mutex, PoisonError};

use lowtide_persistence::disk::FaultyDisk;
use lowtide_persistence::logstor::{CommitObserver, LogPoint};
use lowtide_persistence::{Budget, Job, JobProgress};

use super::words::{POWER_LOST, kind};
use crate::script::worlds::print::Output;

/// Budget of a step.
const STEP: Budget = Budget {
    items: 100,
    bytes: 1 << 20,
};
const IN_PROGRESS: &str = "compaction-in-progress";
const NO_JOB: &str = "no-job";

#[derive(Debug, Default)]
pub(super) struct Jobs {
    paused: Option<Box<dyn Job>>,
    trap: Arc<Trap>,
}

/// Point of a power loss, in a job or inside a commit.
#[derive(Debug, Default)]
struct Trap {
    point: Mutex<Option<&'static str>>,
}

impl Trap {
    /// Turns the power off if this is the point; returns `true` then.
    fn springs(&self, point: &str, disk: &FaultyDisk) -> bool {
        let mut set = self.point.lock().unwrap_or_else(PoisonError::into_inner);
        let springs = *set == Some(point);
        if springs {
            *set = None;
            disk.power_off();
        }
        springs
    }
}

/// Observer of the points inside commits, for a trap.
#[derive(Debug)]
struct InCommits {
    trap: Arc<Trap>,
    disk: FaultyDisk,
}

impl CommitObserver for InCommits {
    fn reached(&self, point: LogPoint) {
        self.trap.springs(point.as_str(), &self.disk);
    }
}

impl Jobs {
    pub(super) fn crash_at(&mut self, point: &'static str) {
        *self
            .trap
            .point
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    /// Returns the observer of points inside commits.
    pub(super) fn observer(&self, disk: &FaultyDisk) -> Arc<dyn CommitObserver> {
        Arc::new(InCommits {
            trap: Arc::clone(&self.trap),
            disk: disk.clone(),
        })
    }

    /// Ends a paused job; its traps remain set.
    pub(super) fn abort(&mut self) {
        self.paused = None;
    }

    pub(super) fn begin(
        &mut self,
        job: Box<dyn Job>,
        pause: Option<&'static str>,
        disk: &FaultyDisk,
    ) -> Output {
        if self.paused.is_some() {
            return Err(IN_PROGRESS);
        }
        self.run(job, pause, disk)
    }

    pub(super) fn resume(&mut self, pause: Option<&'static str>, disk: &FaultyDisk) -> Output {
        let job = self.paused.take().ok_or(NO_JOB)?;
        self.run(job, pause, disk)
    }

    fn run(
        &mut self,
        mut job: Box<dyn Job>,
        pause: Option<&'static str>,
        disk: &FaultyDisk,
    ) -> Output {
        loop {
            match job.step(STEP).map_err(kind)? {
                JobProgress::Working { .. } | JobProgress::Ahead => {}
                JobProgress::Reached(point) if self.trap.springs(point, disk) => {
                    return Err(POWER_LOST);
                }
                JobProgress::Reached(point) if pause == Some(point) => {
                    self.paused = Some(job);
                    return Ok(vec![format!("paused {point}")]);
                }
                JobProgress::Reached(_) => {}
                JobProgress::Done(_) => return Ok(vec!["done".to_owned()]),
            }
        }
    }
}

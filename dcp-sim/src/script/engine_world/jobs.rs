//! The compaction of an engine's world: begun, paused at a point, gone on with; or cut off there by a loss of power.
//!
//! What always holds: one at a time, and it is driven by commands alone, in steps small enough that each stage takes
//! several.

use persistence::disk::FaultyDisk;
use persistence::{Budget, Job, Progress};

use super::{POWER_LOST, kind};
use crate::script::print::Output;

/// How much a step does.
const STEP: Budget = Budget { items: 100, bytes: 1 << 20 };
const IN_PROGRESS: &str = "compaction-in-progress";
const NO_JOB: &str = "no-job";

#[derive(Debug, Default)]
pub(super) struct Jobs {
    paused: Option<Box<dyn Job>>,
    /// The power goes when a job gets here.
    crash_at: Option<&'static str>,
}

impl Jobs {
    pub(super) fn crash_at(&mut self, point: &'static str) {
        self.crash_at = Some(point);
    }

    /// Ends a paused job; what was planned stays planned.
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

    fn run(&mut self, mut job: Box<dyn Job>, pause: Option<&'static str>, disk: &FaultyDisk) -> Output {
        loop {
            match job.step(STEP).map_err(kind)? {
                Progress::Working { .. } => {}
                Progress::Reached(point) if self.crash_at == Some(point) => {
                    self.crash_at = None;
                    disk.power_off();
                    return Err(POWER_LOST);
                }
                Progress::Reached(point) if pause == Some(point) => {
                    self.paused = Some(job);
                    return Ok(vec![format!("paused {point}")]);
                }
                Progress::Reached(_) => {}
                Progress::Done(_) => return Ok(vec!["done".to_owned()]),
            }
        }
    }
}

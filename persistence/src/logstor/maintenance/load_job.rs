//! Loading of all vBuckets that are not in memory, as a job: one vBucket a step.

use super::store_lease::StoreLease;
use crate::contract::{Budget, CompactionReport, EngineError, Job, JobProgress, JobStage};
use crate::logstor::format::to_u64;

#[derive(Debug)]
pub(super) struct LoadJob {
    lease: StoreLease,
    done: u64,
}

impl LoadJob {
    pub(super) const fn new(lease: StoreLease) -> Self {
        Self { lease, done: 0 }
    }
}

impl Job for LoadJob {
    fn step(&mut self, _budget: Budget) -> Result<JobProgress, EngineError> {
        let left = self.lease.step(|maintenance| {
            let registry = &maintenance.store.registry;
            Ok(registry
                .load_one()?
                .then(|| to_u64(registry.left_to_load())))
        })?;
        let Some(left) = left else {
            return Ok(JobProgress::Done(CompactionReport::default()));
        };
        self.done += 1;
        Ok(JobProgress::Working {
            stage: JobStage::Loading,
            done: self.done,
            of: self.done + left,
        })
    }
}

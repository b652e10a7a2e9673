//! Requests of commits to the store's upkeep: space when there is none, and their part of the
//! rewriting.
//!
//! This is the one way up from the commit path. Everything else a commit needs lies below it.

use super::compaction::{LOW_SPACE_SEGMENTS, reclaim};
use super::state::Maintenance;
use crate::logstor::commit::CommitHost;

impl CommitHost for Maintenance {
    fn reclaim(&self) -> bool {
        // A failure here means that there is no space, and the commit reports that. Damage is
        // reported to the next reader of what is damaged.
        let reclaim = || reclaim(&self.store, &mut self.outputs.lock()).unwrap_or(false);
        reclaim() || (self.abandon_rounds() && reclaim())
    }

    fn relieve(&self, written: u64) {
        let available = self.store.log.segments.census().available();
        if available < LOW_SPACE_SEGMENTS {
            let mut backpressure = self.backpressure.lock();
            let outputs = &mut self.outputs.lock();
            // A failure is reported to the commit that needs the space.
            let _ = backpressure.step(&self.store, outputs, written, available);
        }
    }
}

impl Maintenance {
    /// Takes away the rounds of jobs and of commits. Returns whether there was one.
    fn abandon_rounds(&self) -> bool {
        let of_jobs = self.running.abandon_rounds();
        self.backpressure.lock().abandon() || of_jobs
    }
}

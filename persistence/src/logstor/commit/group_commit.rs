//! Group commit: of the calls that wait, one leads and commits the batches of all with one append.
//!
//! One sync then serves many callers. A call that finds no other waiting commits at once.

use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;

use super::active_segment::ActiveSegment;
use super::host::CommitHost;
use super::leader::Leader;
use super::observer::CommitObserver;
use super::request::{CommitOutcome, CommitRequest};
use crate::contract::EngineError;
use crate::fault::{self, Fault};
use crate::logstor::log::Log;
use crate::logstor::vbucket::Registry;
use crate::sync::{Mutex, RwLock, TryMutex, ranks};

/// Calls that wait, and the segment that the leader writes.
#[derive(Debug)]
pub(in crate::logstor) struct GroupCommit {
    log: Arc<Log>,
    registry: Arc<Registry>,
    observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    queue: Mutex<Vec<Arc<CommitRequest>>>,
    /// Held by the leader.
    active: TryMutex<Option<ActiveSegment>>,
}

impl GroupCommit {
    pub(in crate::logstor) fn new(log: Arc<Log>, registry: Arc<Registry>) -> Self {
        Self {
            log,
            registry,
            observer: RwLock::new(ranks::COMMIT_OBSERVER, None),
            queue: Mutex::new(ranks::COMMIT_QUEUE, Vec::new()),
            active: TryMutex::new(ranks::ACTIVE_SEGMENT, None),
        }
    }

    /// Installs an observer that is called at named points inside a commit.
    pub(in crate::logstor) fn observe(&self, observer: Arc<dyn CommitObserver>) {
        *self.observer.write() = Some(observer);
    }

    /// Commits a call's batches, together with those of calls that wait.
    ///
    /// # Errors
    /// [`EngineError::Internal`] if the leader left the call without an outcome.
    pub(in crate::logstor) fn commit(
        &self,
        host: &dyn CommitHost,
        request: Arc<CommitRequest>,
    ) -> Result<CommitOutcome, EngineError> {
        self.queue.lock().push(Arc::clone(&request));
        let mut active = self.active.lock();
        if let Some(outcome) = request.outcome.lock().take() {
            return Ok(outcome);
        }
        let queued = std::mem::take(&mut *self.queue.lock());
        let mut leader = Leader {
            log: &self.log,
            registry: &self.registry,
            observer: &self.observer,
            host,
            active: &mut active,
        };
        leader.lead(&queued);
        drop(active);
        // The leader's own request is among them.
        let outcome = request.outcome.lock().take();
        outcome
            .invariant("E10", "each call of a group gets its outcome")
            .map_err(|violation| self.log.context.internal(violation))
    }

    /// Loses the next call, which `begin` begins on another thread.
    #[cfg(test)]
    pub(in crate::logstor) fn lose_next_call(&self, begin: impl FnOnce()) {
        let _paused = self.active.lock();
        begin();
        while self.queue.lock().is_empty() {
            std::hint::spin_loop();
        }
        self.queue.lock().clear();
    }

    /// Runs `work` while no commit runs. `work` gets the active segment, and the end of its durable
    /// frames.
    pub(in crate::logstor) fn with_commits_paused<T>(
        &self,
        work: impl FnOnce(Option<(u32, u32)>) -> T,
    ) -> T {
        let active = self.active.lock();
        work(active.as_ref().map(ActiveSegment::end))
    }

    /// Returns the age of the active segment, if several vBuckets have records in it. `None` also
    /// while a commit runs.
    pub(in crate::logstor) fn mixed_age(&self, now: u64) -> Option<u64> {
        let Some(active) = self.active.try_lock() else {
            return fault::is(Fault::BusyTakenForOld).then_some(u64::MAX);
        };
        Some(active.as_ref()?.mixed()?.age(now))
    }

    /// Closes the active segment, so that it can be rewritten.
    pub(in crate::logstor) fn close_active(&self) {
        if let Some(active) = self.active.lock().take() {
            active.close(&self.log);
        }
    }
}

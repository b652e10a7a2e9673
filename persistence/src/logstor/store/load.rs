//! Bringing the index into memory, and onto the disk: what was put off when the store opened, and what will spare work when
//! it opens again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use crate::logstor::image::{Claim, ImageJob};
use crate::{Budget, CompactionReport, EngineError, Job, Progress};

/// Closing writes an image when this share of what makes one due was appended.
const CLOSING_SHARE: u64 = 16;

impl Store {
    /// Loads a branch that is not loaded; whether there was one.
    ///
    /// # Errors
    /// As [`Branch::load`](crate::logstor::branch::Branch::load).
    pub(in crate::logstor) fn load_one(&self) -> Result<bool, EngineError> {
        if self.is_whole.load(Ordering::Acquire) {
            return Ok(false);
        }
        let next = self.branches.read().values().find(|branch| !branch.is_loaded()).cloned();
        match next {
            Some(branch) => branch.load().map(|()| true),
            None => {
                self.is_whole.store(true, Ordering::Release);
                Ok(false)
            }
        }
    }

    /// Loads every branch: whoever frees segments must know every record that is needed (L23).
    ///
    /// # Errors
    /// As [`Store::load_one`].
    pub(in crate::logstor) fn load_all(&self) -> Result<(), EngineError> {
        while self.load_one()? {}
        Ok(())
    }

    /// How many branches are not loaded.
    pub(in crate::logstor) fn unloaded(&self) -> usize {
        self.branches.read().values().filter(|branch| !branch.is_loaded()).count()
    }

    /// Loading all that is not loaded, as a job.
    pub(in crate::logstor) fn load_job(self: &Arc<Self>) -> Option<Box<dyn Job>> {
        if self.is_whole.load(Ordering::Acquire) || self.unloaded() == 0 {
            return None;
        }
        Some(Box::new(LoadJob { store: Arc::clone(self), done: 0 }))
    }

    /// Making an image, if it is worth it.
    pub(in crate::logstor) fn image_job(self: &Arc<Self>) -> Option<Box<dyn Job>> {
        if self.shared.check_writable().is_err() || !self.images.is_due(&self.shared, 1) {
            return None;
        }
        Some(Box::new(ImageJob::new(Arc::clone(self), Claim::take(self)?)))
    }

    pub(super) fn make_last_image(self: &Arc<Self>) -> Result<(), EngineError> {
        if !self.images.is_due(&self.shared, CLOSING_SHARE) {
            return Ok(());
        }
        let Some(claim) = Claim::take(self) else { return Ok(()) };
        let mut job = ImageJob::new(Arc::clone(self), claim);
        while job.step(Budget::NONE)? != Progress::Done(CompactionReport::default()) {}
        Ok(())
    }
}

#[derive(Debug)]
struct LoadJob {
    store: Arc<Store>,
    done: u64,
}

impl Job for LoadJob {
    fn step(&mut self, _budget: Budget) -> Result<Progress, EngineError> {
        if !self.store.load_one()? {
            return Ok(Progress::Done(CompactionReport::default()));
        }
        self.done += 1;
        let left = self.store.unloaded() as u64;
        Ok(Progress::Working { stage: "load", done: self.done, of: self.done + left })
    }
}

//! The scheduler of a store's jobs: it makes the job that is due or asked for, and ends all when
//! the store is closed.

use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::image_job::ImageJob;
use super::image_schedule::ImageClaim;
use super::load_job::LoadJob;
use super::rewrite_job::{RewriteGoal, RewriteJob};
use super::state::Maintenance;
use super::store_lease::StoreLease;
use crate::contract::{Budget, CompactionReport, CompactionRequest, EngineError, Job, JobProgress};
use crate::disk::DiskErrorKind;

impl Maintenance {
    /// Returns the job that is due, if any.
    pub(in crate::logstor) fn next_job(self: &Arc<Self>) -> Option<Box<dyn Job>> {
        let job = self
            .load_job()
            // Space first: commits wait for it.
            .or_else(|| self.begin(self.due_space()?))
            .or_else(|| self.image_job())
            .or_else(|| self.begin(self.due()?));
        self.images.record_poll(&self.store.context, job.is_some());
        job
    }

    /// Begins to compact a vBucket.
    ///
    /// # Errors
    /// [`EngineError::CompactionInProgress`]; [`EngineError::Unsupported`] for requests other than
    /// a purge up to a seqno; errors of loading and purging.
    pub(in crate::logstor) fn compact(
        self: &Arc<Self>,
        vb: Vbid,
        request: &CompactionRequest,
    ) -> Result<Box<dyn Job>, EngineError> {
        self.store.context.check_writable()?;
        self.store.registry.loaded(vb)?;
        if request.filter.is_some() || request.purge_before.is_some() {
            // Purged tombstones are identified by a seqno; nothing else could be hidden for good.
            return Err(EngineError::Unsupported {
                path: self.store.context.dir.clone(),
                what: "a log store's compaction purges up to a seqno only".to_owned(),
            });
        }
        self.running
            .register(Some(vb))
            .ok_or(EngineError::CompactionInProgress { vb })?;
        let mut report = CompactionReport::default();
        if let Some(upto) = request.purge_upto {
            match self.store.purge(vb, upto.0) {
                Ok((_, purged)) => report.tombstones_purged = purged,
                Err(error) => {
                    self.running.end(Some(vb));
                    return Err(error);
                }
            }
        }
        let goal = RewriteGoal::Compact(Some(vb));
        Ok(Box::new(RewriteJob::new(self, goal, report)))
    }

    /// Begins rewriting of the whole store. `None` if it is under way.
    pub(in crate::logstor) fn begin(self: &Arc<Self>, goal: RewriteGoal) -> Option<Box<dyn Job>> {
        self.running.register(None)?;
        let report = CompactionReport::default();
        Some(Box::new(RewriteJob::new(self, goal, report)))
    }

    /// Begins to load all vBuckets that are not in memory. `None` if all are.
    pub(in crate::logstor) fn load_job(self: &Arc<Self>) -> Option<Box<dyn Job>> {
        let registry = &self.store.registry;
        let is_due = !registry.is_fully_loaded() && registry.left_to_load() > 0;
        is_due.then(|| Box::new(LoadJob::new(StoreLease::of(self))) as Box<dyn Job>)
    }

    /// Begins to make an index image, if it is worth its bytes.
    pub(in crate::logstor) fn image_job(self: &Arc<Self>) -> Option<Box<dyn Job>> {
        let context = &self.store.context;
        if context.check_writable().is_err() || !self.images.is_due(context) {
            return None;
        }
        let claim = ImageClaim::take(&self.images, context)?;
        Some(Box::new(ImageJob::new(self, claim)))
    }

    /// Closes the store: makes a last image if it is worth it, ends what is under way, and releases
    /// the directory.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`]; errors of making the image. The store is closed all the same.
    pub(in crate::logstor) fn close(self: &Arc<Self>) -> Result<(), EngineError> {
        let _no_step = self.steps.write();
        let Some(_directory) = self.store.take_directory_lock() else {
            return Ok(());
        };
        let context = &self.store.context;
        let result = context
            .check_writable()
            .and_then(|()| self.make_last_image());
        self.store.commits.with_commits_paused(|_| context.close());
        self.backpressure.lock().abandon();
        self.store.log.segments.abandon_growth();
        // The last copying has ended, and none begins.
        drop(self.outputs.lock());
        self.store.registry.clear();
        result
    }

    fn make_last_image(self: &Arc<Self>) -> Result<(), EngineError> {
        let context = &self.store.context;
        if !self.images.is_due_at_close(context) {
            return Ok(());
        }
        let Some(claim) = ImageClaim::take(&self.images, context) else {
            return Ok(());
        };
        let mut job = ImageJob::new(self, claim);
        loop {
            match job.step_of(self, Budget::NONE) {
                // After damage the last image stays; the damage is reported to the next reader of
                // it.
                Ok(JobProgress::Done(_)) | Err(EngineError::Corrupt { .. }) => return Ok(()),
                // Nothing is lost without an image: the next opening reads more.
                Err(EngineError::Disk(error)) if error.kind == DiskErrorKind::NoSpace => {
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

//! The state of a store's upkeep: the store itself, the jobs that run on it, and what jobs and
//! commits have begun.
//!
//! Jobs need this state and the scheduler makes jobs, so the state knows neither.

use std::sync::Arc;

use super::compaction::{OutputSegments, WriteBackpressure};
use super::image_schedule::ImageSchedule;
use super::running_jobs::RunningJobs;
use crate::logstor::index_image::Image;
use crate::logstor::store::Store;
use crate::sync::{Mutex, RwLock, ranks};

/// An open store's upkeep. It owns the store: nothing that the store holds leads here.
#[derive(Debug)]
pub(in crate::logstor) struct Maintenance {
    /// Held while records are copied: one thread copies at a time.
    pub(in crate::logstor) outputs: Mutex<OutputSegments>,
    /// Rewriting jobs, and the round each is at.
    pub(in crate::logstor) running: RunningJobs,
    /// The rewriting that commits do themselves while space is short.
    pub(in crate::logstor) backpressure: Mutex<WriteBackpressure>,
    /// When an index image is due. An image job has a share of it.
    pub(super) images: Arc<ImageSchedule>,
    /// Garbage is checked again once the next generation reaches this value.
    pub(super) next_gc_check_generation: Mutex<u64>,
    /// Read by a step of a job, written by `close`: a running step ends before the directory is
    /// released.
    pub(super) steps: RwLock<()>,
    /// Last, so that rounds end before the store does.
    pub(in crate::logstor) store: Arc<Store>,
}

impl Maintenance {
    /// `carried_bytes` were appended before the store was opened and are not in the newest image.
    pub(in crate::logstor) fn new(
        store: Arc<Store>,
        newest_image: Option<Arc<Image>>,
        carried_bytes: u64,
    ) -> Self {
        Self {
            outputs: Mutex::new(ranks::OUTPUT_SEGMENTS, OutputSegments::default()),
            running: RunningJobs::new(),
            backpressure: Mutex::new(ranks::BACKPRESSURE, WriteBackpressure::default()),
            images: Arc::new(ImageSchedule::new(newest_image, carried_bytes)),
            next_gc_check_generation: Mutex::new(ranks::NEXT_GC_CHECK, 0),
            steps: RwLock::new(ranks::JOB_STEPS, ()),
            store,
        }
    }

    /// Returns the bytes of the segments in use.
    pub(super) fn used_bytes(&self) -> u64 {
        let segments = &self.store.log.segments;
        let census = segments.census();
        u64::from(census.total - census.free) * u64::from(segments.geometry().segment_bytes)
    }
}

//! The schedule of index images: when the next one is due, and the claim of the job that makes it.
//!
//! An image costs what it writes, so it is made when that is worth what opening saves: after enough
//! was appended, or earlier on an idle store.

use std::sync::Arc;

use crate::contract::EngineError;
use crate::logstor::index_image::{Image, remove_other_images};
use crate::logstor::log::StoreContext;
use crate::sync::{Mutex, ranks};

/// Polls without a new append after which a store counts as idle. A store that is written to now
/// and then is not idle between two commits, however often its host polls.
const IDLE_POLLS: u32 = 64;
/// Idle and closing stores make an image at this share of the usual threshold.
const IDLE_SHARE: u64 = 8;

/// A store's newest image, and how much was appended since.
#[derive(Debug)]
pub(super) struct ImageSchedule {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    newest: Option<Arc<Image>>,
    /// Number of the next file; `None` if no number is left.
    next_number: Option<u64>,
    /// Bytes that were appended before the store was opened and that no image covers.
    carried_bytes: u64,
    /// Bytes this store had appended when the newest image was begun, or the last attempt that
    /// failed.
    begun_at_bytes: u64,
    is_being_made: bool,
    /// Bytes this store had appended at the last poll.
    polled_at_bytes: u64,
    /// Polls before the last one that found as many bytes and nothing due.
    idle_polls: u32,
}

impl ImageSchedule {
    pub(super) fn new(newest: Option<Arc<Image>>, carried_bytes: u64) -> Self {
        let next_number = newest
            .as_ref()
            .map_or(Some(1), |newest| newest.number().checked_add(1));
        let inner = Inner {
            newest,
            next_number,
            carried_bytes,
            begun_at_bytes: 0,
            is_being_made: false,
            polled_at_bytes: 0,
            idle_polls: 0,
        };
        Self {
            inner: Mutex::new(ranks::IMAGE_SCHEDULE, inner),
        }
    }

    /// Records that the host polled for maintenance.
    pub(super) fn record_poll(&self, context: &StoreContext, is_due: bool) {
        let mut inner = self.inner.lock();
        let written_bytes = context.counters.written_bytes.get();
        let is_same = std::mem::replace(&mut inner.polled_at_bytes, written_bytes) == written_bytes;
        inner.idle_polls = if is_same && !is_due {
            inner.idle_polls.saturating_add(1)
        } else {
            0
        };
    }

    /// Returns whether enough was appended since the newest image to make another one: on an idle
    /// store an [`IDLE_SHARE`]th of the usual amount.
    pub(super) fn is_due(&self, context: &StoreContext) -> bool {
        let inner = self.inner.lock();
        let share = if inner.is_idle(context) {
            IDLE_SHARE
        } else {
            1
        };
        inner.is_due(context, share)
    }

    /// Returns whether enough was appended to make an image before the store is closed.
    pub(super) fn is_due_at_close(&self, context: &StoreContext) -> bool {
        self.inner.lock().is_due(context, IDLE_SHARE)
    }
}

impl Inner {
    fn is_idle(&self, context: &StoreContext) -> bool {
        self.polled_at_bytes == context.counters.written_bytes.get()
            && self.idle_polls >= IDLE_POLLS
    }

    fn is_due(&self, context: &StoreContext, share: u64) -> bool {
        let written_bytes = context.counters.written_bytes.get();
        let since = written_bytes
            .saturating_sub(self.begun_at_bytes)
            .saturating_add(self.carried_bytes);
        let config = &context.config;
        let last_bytes = self.newest.as_ref().map_or(0, |image| image.bytes);
        let by_size = last_bytes.saturating_mul(100) / u64::from(config.image_percent.max(1));
        !self.is_being_made && since.saturating_mul(share) > config.image_bytes.max(by_size)
    }
}

/// The right to make the next image, which one job has at a time.
#[derive(Debug)]
pub(super) struct ImageClaim {
    schedule: Arc<ImageSchedule>,
    /// Bytes carried and begun at before this attempt; `None` once the attempt has succeeded or
    /// failed.
    before: Option<(u64, u64)>,
}

impl ImageClaim {
    /// Claims the next image. `None` if it is being made.
    pub(super) fn take(schedule: &Arc<ImageSchedule>, context: &StoreContext) -> Option<Self> {
        let mut inner = schedule.inner.lock();
        if std::mem::replace(&mut inner.is_being_made, true) {
            return None;
        }
        let before = Some((inner.carried_bytes, inner.begun_at_bytes));
        inner.carried_bytes = 0;
        inner.begun_at_bytes = context.counters.written_bytes.get();
        Some(Self {
            schedule: Arc::clone(schedule),
            before,
        })
    }

    pub(super) fn newest(&self) -> Option<Arc<Image>> {
        self.schedule.inner.lock().newest.clone()
    }

    /// Returns the number of the next file.
    ///
    /// # Errors
    /// [`EngineError::NumbersUsedUp`].
    pub(super) fn next_number(&self, context: &StoreContext) -> Result<u64, EngineError> {
        let number = self.schedule.inner.lock().next_number;
        number.ok_or_else(|| EngineError::NumbersUsedUp {
            path: context.dir.clone(),
            what: "numbers of index images",
        })
    }

    /// Marks the attempt as failed. The next attempt waits a full interval; after corruption, which
    /// may be the last image's, it ignores that image.
    pub(super) fn failed(&mut self, error: &EngineError) {
        self.before = None;
        if matches!(error, EngineError::Corrupt { .. }) {
            self.schedule.inner.lock().newest = None;
        }
    }

    /// Makes a finished image the newest one, and removes the others.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the others were not removed. They are removed when the store is
    /// opened.
    pub(super) fn install(
        &mut self,
        context: &StoreContext,
        image: Image,
    ) -> Result<(), EngineError> {
        self.before = None;
        let image = Arc::new(image);
        {
            let mut inner = self.schedule.inner.lock();
            inner.next_number = image.number().checked_add(1);
            inner.newest = Some(Arc::clone(&image));
        }
        remove_other_images(context, Some(&image))
    }
}

impl Drop for ImageClaim {
    fn drop(&mut self) {
        let mut inner = self.schedule.inner.lock();
        inner.is_being_made = false;
        if let Some((carried_bytes, begun_at_bytes)) = self.before {
            inner.carried_bytes = carried_bytes;
            inner.begun_at_bytes = begun_at_bytes;
        }
    }
}

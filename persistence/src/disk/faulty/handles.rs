//! The open handles of a disk: how many there are, and the limit they may not exceed.
//!
//! # Invariants
//!
//! A handle counts from its opening until it is dropped, whether or not the power was lost
//! meanwhile.

use std::sync::Arc;

use crate::sync::native::Mutex;
use crate::sync::ranks;

/// The handle counts of one disk.
#[derive(Debug)]
pub(super) struct Handles(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: u64,
    most: u64,
    limit: Option<u64>,
}

impl Default for Handles {
    fn default() -> Self {
        Self(Mutex::new(ranks::FAULTY_HANDLES, Counts::default()))
    }
}

impl Handles {
    pub(super) fn limit(&self, limit: Option<u64>) {
        self.0.lock().limit = limit;
    }

    pub(super) fn open(&self) -> u64 {
        self.0.lock().open
    }

    pub(super) fn most(&self) -> u64 {
        self.0.lock().most
    }
}

/// One open handle.
#[derive(Debug)]
pub(super) struct Handle(Arc<Handles>);

impl Handle {
    /// Takes a handle, or returns `None` at the limit.
    pub(super) fn take(handles: &Arc<Handles>) -> Option<Self> {
        let mut counts = handles.0.lock();
        if counts.limit.is_some_and(|limit| counts.open >= limit) {
            return None;
        }
        counts.open += 1;
        counts.most = counts.most.max(counts.open);
        drop(counts);
        Some(Self(Arc::clone(handles)))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.0.lock().open -= 1;
    }
}

//! The work that a critical section leaves for after the lock is released.
//!
//! Waking threads and freeing memory under the lock would make every other thread wait for it.

use std::sync::Arc;

use crate::internal::sync::Signal;
use crate::reclaim::{Garbage, Reclaimer};

/// Memory to free and threads to wake.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    pub(super) garbage: Garbage,
    /// Signals of readers that have something to read now.
    pub(super) wake: Vec<Arc<Signal>>,
}

impl Deferred {
    /// Wakes the readers and frees the garbage, or submits it to the reclaimer. Never called under
    /// the manager's lock.
    pub(super) fn run(self, reclaimer: Option<&Reclaimer>) {
        for signal in &self.wake {
            signal.raise();
        }
        if let Some(reclaimer) = reclaimer.filter(|_| !self.garbage.is_empty()) {
            reclaimer.submit(self.garbage);
        }
    }
}

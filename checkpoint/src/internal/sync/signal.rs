//! A flag that one thread waits for and another raises.
//!
//! A bare condition variable loses a wake-up that comes before the wait. A flag remembers it.

#[cfg(checkpoint_loom)]
use super::loom_locks::{Condvar, Mutex};
#[cfg(not(checkpoint_loom))]
use super::native::{Condvar, Mutex};
use super::ranks;

/// The flag. A flag raised before the wait ends it at once.
#[derive(Debug)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self {
            raised: Mutex::new(ranks::SIGNAL, false),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn lower(&self) {
        *self.raised.lock() = false;
    }

    pub(crate) fn wait(&self) {
        let mut raised = self.raised.lock();
        while !*raised {
            raised = self.changed.wait(raised);
        }
    }
}

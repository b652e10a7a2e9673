//! A flag that one thread waits for and another raises.
//!
//! A bare condition variable loses a wake-up that comes before the wait. A flag remembers it. A signal
//! can also belong to a [`ReadySet`], whose thread then waits for many signals at once.

use core::time::Duration;
use std::sync::Arc;

#[cfg(checkpoint_loom)]
use super::loom_locks::{Condvar, Mutex};
#[cfg(not(checkpoint_loom))]
use super::native::{Condvar, Mutex};
use super::ranks;
use super::ready_set::ReadySet;

/// The flag. A flag raised before the wait ends it at once.
#[derive(Debug)]
pub struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    is_raised: bool,
    /// Set in which the signal raises a number whenever it is raised.
    member_of: Option<(Arc<ReadySet>, u64)>,
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// Creates a lowered signal.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            is_raised: false,
            member_of: None,
        };
        Self {
            state: Mutex::new(ranks::SIGNAL, state),
            changed: Condvar::new(),
        }
    }

    /// Makes the signal raise `number` in `set` from now on, and at once: it may have been raised
    /// before.
    pub(crate) fn join(&self, set: &Arc<ReadySet>, number: u64) {
        self.state.lock().member_of = Some((Arc::clone(set), number));
        set.raise(number);
    }

    /// Raises the signal, which ends every wait.
    pub fn raise(&self) {
        let member_of = {
            let mut state = self.state.lock();
            state.is_raised = true;
            state.member_of.clone()
        };
        self.changed.notify_all();
        if let Some((set, number)) = member_of {
            set.raise(number);
        }
    }

    /// Lowers the signal.
    pub fn lower(&self) {
        self.state.lock().is_raised = false;
    }

    /// Returns whether the signal is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.state.lock().is_raised
    }

    /// Waits until the signal is raised.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while !state.is_raised {
            state = self.changed.wait(state);
        }
    }

    /// Waits until the signal is raised, or for as long as `timeout`. Returns whether it is raised.
    pub fn wait_for(&self, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_raised {
            state = self.changed.wait_timeout(state, timeout);
        }
        state.is_raised
    }
}

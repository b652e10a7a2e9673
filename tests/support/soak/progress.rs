//! The progress of the writers, by which others measure their pauses.

use std::sync::{Condvar, Mutex};

/// Number of writes that were taken. Pauses are counted in writes, not in time.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    is_over: bool,
}

impl Progress {
    pub(super) fn add(&self) {
        self.state.lock().expect("no panic").taken += 1;
        self.changed.notify_all();
    }

    /// Ends all pauses, now and later.
    pub(super) fn end(&self) {
        self.state.lock().expect("no panic").is_over = true;
        self.changed.notify_all();
    }

    /// Waits for that number of writes, or for the end.
    pub(super) fn wait_for(&self, writes: u64) {
        let state = self.state.lock().expect("no panic");
        let target = state.taken + writes;
        let is_early = |state: &mut State| !state.is_over && state.taken < target;
        drop(self.changed.wait_while(state, is_early).expect("no panic"));
    }
}

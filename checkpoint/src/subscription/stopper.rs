//! The stopper of a subscription: ends its waiting from another thread.
//!
//! Waiting must end for two reasons other than a new item: its user stops it, or the vBucket stops
//! serving. One atomic word says which.

use std::sync::Arc;

use crate::internal::invariant::Invariant;
use crate::internal::sync::{AtomicUsize, Ordering, Signal};
use crate::model::State;

const RUNNING: usize = 0;
const STOPPED: usize = 1;
/// States with which a subscription ends. Each is encoded as `STOPPED + 1 + index`.
const ENDED: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];

/// Ends a subscription's waiting from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    status: Arc<AtomicUsize>,
    signal: Arc<Signal>,
}

/// The end of a subscription.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Its user stopped it.
    ByUser,
    /// The vBucket changed to this state.
    ByState(State),
}

impl Stopper {
    /// Creates the stopper of a running subscription.
    pub(super) fn new() -> Self {
        Self {
            status: Arc::new(AtomicUsize::new(RUNNING)),
            signal: Arc::new(Signal::new()),
        }
    }

    /// Stops the subscription: its waiting ends, now and in the future.
    pub fn stop(&self) {
        self.status.store(STOPPED, Ordering::Release);
        self.signal.raise();
    }

    /// Like [`Stopper::stop`], but reports the vBucket's new state.
    pub(crate) fn end(&self, state: State) {
        let index = ENDED
            .iter()
            .position(|&ended| ended == state)
            .expected("C19", "a subscription ends with one of the four states");
        // Without its state the end is still an end, as if the user had stopped it.
        let status = index.map_or(STOPPED, |index| STOPPED + 1 + index);
        self.status.store(status, Ordering::Release);
        self.signal.raise();
    }

    /// Returns whether the subscription, or another stopper of it, still exists.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.status) > 1
    }

    /// Returns the end of the subscription, if it has ended.
    pub(super) fn stopped(&self) -> Option<Stop> {
        match self.status.load(Ordering::Acquire) {
            RUNNING => None,
            STOPPED => Some(Stop::ByUser),
            ended => {
                let state = ended
                    .checked_sub(STOPPED + 1)
                    .and_then(|index| ENDED.get(index))
                    .expected("C19", "a subscription ends with one of the four states");
                // Its waiting must end, whatever the reason.
                Some(state.map_or(Stop::ByUser, |&state| Stop::ByState(state)))
            }
        }
    }

    /// Returns the signal on which the subscription waits.
    pub(super) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }
}

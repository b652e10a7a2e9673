//! The gate of a store: open until it is closed or dropped.
//!
//! # Invariants
//!
//! - R8. After [`Gate::close`] returned, no write is taken any more, and every write that was taken is
//!   marked for its flusher. So the flush that follows has everything. Writers look at the gate under
//!   a lock which `close` takes once after it has shut.

use crate::fault::{self, Fault};
use crate::sync::{AtomicUsize, Ordering};

const OPEN: usize = 0;
const CLOSED: usize = 1;

/// Whether writes are taken.
#[derive(Debug)]
pub struct Gate(AtomicUsize);

impl Default for Gate {
    fn default() -> Self {
        Self(AtomicUsize::new(OPEN))
    }
}

impl Gate {
    /// Returns whether the gate is open. A writer looks under the lock of its vBucket, which it holds
    /// until its write is marked.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }

    /// Closes the gate. `wait_for_writers` takes and releases the lock of each vBucket. Returns
    /// whether the gate was open.
    pub fn close(&self, wait_for_writers: impl FnOnce()) -> bool {
        let was_open = self.0.swap(CLOSED, Ordering::AcqRel) == OPEN;
        if !fault::is(Fault::GateClosedBlindly) {
            wait_for_writers();
        }
        was_open
    }
}

//! The mark of a vBucket with changes, which is in its flusher's inbox once (R1).

use crate::fault::{self, Fault};
use crate::sync::{AtomicUsize, Ordering};

const CLEAN: usize = 0;
const MARKED: usize = 1;

/// The mark of a vBucket that is in its flusher's inbox.
#[derive(Debug)]
pub struct DirtyMark(AtomicUsize);

impl Default for DirtyMark {
    fn default() -> Self {
        Self(AtomicUsize::new(CLEAN))
    }
}

impl DirtyMark {
    /// Sets the mark. Returns whether it was not set.
    pub(super) fn set(&self) -> bool {
        // Always a write, never only a load: a flusher that clears the mark afterwards thereby sees
        // what was queued before.
        self.0.swap(MARKED, Ordering::AcqRel) == CLEAN
    }

    /// Clears the mark, before the changes are read.
    pub fn clear(&self) {
        if fault::is(Fault::MarkClearedBlindly) {
            self.0.store(CLEAN, Ordering::Relaxed);
            return;
        }
        self.0.swap(CLEAN, Ordering::AcqRel);
    }
}

//! The reclaimer: frees managers' memory on a thread of the caller's, so that writers need not.
//!
//! Critical sections submit chunks, index tables and whole queues as they end.
//!
//! # Invariants (C27)
//! - Submitted memory is freed by the next [`Reclaimer::reclaim`], by a thread in
//!   [`Reclaimer::run`], or with the last handle. Until then chunks and queues stay charged to their
//!   account and quota. Tables of an index are discharged with the section that replaced them.
//! - A thread in `run` is woken once for each change from "nothing" to "something", and by a stop.

use std::sync::Arc;

use super::garbage::Garbage;
use crate::fault::{self, Fault};
use crate::internal::invariant::checked_invariant;
use crate::internal::sync::{AtomicUsize, Mutex, Ordering, Signal, ranks};

/// Frees memory for any number of managers. Cloning shares it; two are equal if they are the same
/// one.
///
/// Without a reclaimer, a manager frees memory on the thread that made it unneeded, after its lock
/// is released. With one, a thread must be in [`Reclaimer::run`] or call [`Reclaimer::reclaim`]
/// from time to time.
#[derive(Clone, Debug)]
pub struct Reclaimer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    pending_bytes: AtomicUsize,
    signal: Signal,
}

#[derive(Debug, Default)]
struct Pending {
    garbage: Vec<Garbage>,
    is_waited_for: bool,
    is_stopped: bool,
}

impl PartialEq for Reclaimer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Reclaimer {}

impl Default for Reclaimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Reclaimer {
    /// Creates a reclaimer with nothing to free.
    #[must_use]
    pub fn new() -> Self {
        let pending = Mutex::new(ranks::RECLAIMER, Pending::default());
        let pending_bytes = AtomicUsize::new(0);
        Self(Arc::new(Shared {
            pending,
            pending_bytes,
            signal: Signal::new(),
        }))
    }

    /// Frees everything submitted so far. Never waits. Returns whether there was anything.
    pub fn reclaim(&self) -> bool {
        let garbage = std::mem::take(&mut self.0.pending.lock().garbage);
        self.free(garbage)
    }

    /// Frees everything submitted, and waits while there is nothing, until [`Reclaimer::stop`].
    /// Memory submitted before the stop is freed, too. Several threads may call this.
    pub fn run(&self) {
        loop {
            let mut pending = self.0.pending.lock();
            let garbage = std::mem::take(&mut pending.garbage);
            if garbage.is_empty() {
                if pending.is_stopped {
                    return;
                }
                pending.is_waited_for = true;
                // Lowered under the lock: a later submission or stop raises it again.
                if !fault::is(Fault::ReclaimerLowersLate) {
                    self.0.signal.lower();
                }
                drop(pending);
                if fault::is(Fault::ReclaimerLowersLate) {
                    self.0.signal.lower();
                }
                self.0.signal.wait();
            } else {
                drop(pending);
                self.free(garbage);
            }
        }
    }

    /// Ends every [`Reclaimer::run`], now and in the future.
    pub fn stop(&self) {
        self.0.pending.lock().is_stopped = true;
        self.0.signal.raise();
    }

    /// Returns the bytes that are still charged to accounts and quotas only because they have not
    /// been freed yet. Memory recovery can recover that much less.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.0.pending_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn submit(&self, garbage: Garbage) {
        self.0
            .pending_bytes
            .fetch_add(garbage.bytes(), Ordering::Relaxed);
        let mut pending = self.0.pending.lock();
        pending.garbage.push(garbage);
        let is_waited_for = std::mem::take(&mut pending.is_waited_for);
        drop(pending);
        if is_waited_for {
            self.0.signal.raise();
        }
    }

    fn free(&self, garbage: Vec<Garbage>) -> bool {
        let was_any = !garbage.is_empty();
        for garbage in garbage {
            let bytes = garbage.bytes();
            drop(garbage);
            let before = self.0.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
            checked_invariant!(before >= bytes, "C27", "garbage is freed once");
        }
        was_any
    }
}

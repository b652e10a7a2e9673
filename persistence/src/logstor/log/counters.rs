//! Counters of what a store has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(in crate::logstor) struct Counter(AtomicU64);

impl Counter {
    pub(in crate::logstor) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(in crate::logstor) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of a store.
#[derive(Debug, Default)]
pub(in crate::logstor) struct Counters {
    pub(in crate::logstor) commits: Counter,
    pub(in crate::logstor) groups: Counter,
    pub(in crate::logstor) syncs: Counter,
    pub(in crate::logstor) written_bytes: Counter,
    pub(in crate::logstor) segments_compacted: Counter,
    pub(in crate::logstor) segments_adopted: Counter,
    pub(in crate::logstor) records_rewritten: Counter,
    pub(in crate::logstor) rewritten_bytes: Counter,
    /// Zeros that were written to make files.
    pub(in crate::logstor) prepared_bytes: Counter,
    pub(in crate::logstor) tombstones_purged: Counter,
    pub(in crate::logstor) images: Counter,
    pub(in crate::logstor) image_bytes: Counter,
}

impl Counters {
    /// Bytes that commits have written, with their padding.
    pub(in crate::logstor) fn committed_bytes(&self) -> u64 {
        self.written_bytes
            .get()
            .saturating_sub(self.rewritten_bytes.get())
    }
}

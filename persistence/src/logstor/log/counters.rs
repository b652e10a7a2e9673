//! Counters of what a store has done since it was opened.

use crate::numbers::Counter;

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
    /// Returns the bytes that commits have written, with their padding.
    pub(in crate::logstor) fn committed_bytes(&self) -> u64 {
        // The two are read one after the other, while other threads add to both.
        self.written_bytes
            .get()
            .saturating_sub(self.rewritten_bytes.get())
    }
}

//! How much of a producer's memory and turn each stream may take.

pub use super::backfill::ScanLimit;

use super::Producer;

/// Limits of one connection's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// Scans of the disk that are open at once; at least 1. *Default*: 16.
    pub scans: usize,
    /// What one step of a scan reads. *Default*: 1,000 items, 256 KiB.
    pub slice: ScanLimit,
    /// Bytes a stream sends in its turn while other streams wait for theirs. *Default*: 16 KiB.
    pub turn_bytes: usize,
}

impl Default for ProducerLimits {
    fn default() -> Self {
        Self { scans: 16, slice: ScanLimit { items: 1_000, bytes: 256 * 1024 }, turn_bytes: 16 * 1024 }
    }
}

impl Producer {
    /// Sets the limits of a connection that has no stream yet.
    #[must_use]
    pub fn with_limits(mut self, limits: ProducerLimits) -> Self {
        self.options.scans_max = limits.scans.max(1);
        self.backfills.set_slice(limits.slice);
        self.turn_bytes = limits.turn_bytes;
        self
    }
}

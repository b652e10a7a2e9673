//! Limits of a producer: memory, turns and standstill of its streams.

use crate::producer::backfill::ScanLimit;

/// Limits of one connection's producer.
///
/// ```
/// use dcp_sim::producer::ProducerLimits;
///
/// let limits = ProducerLimits::new().with_scans(4).with_turn_bytes(64 * 1024);
/// assert_eq!(limits.scans, 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerLimits {
    /// Disk scans that are open at once; at least 1. *Default*: 16.
    pub scans: usize,
    /// Limit of one step of a scan. *Default*: 1,000 items, 256 KiB.
    pub slice: ScanLimit,
    /// Bytes that a stream sends in its turn while others wait. *Default*: 16 KiB.
    pub turn_bytes: usize,
    /// Number of consecutive invisible items after which a backfill reports its progress; at least
    /// 1. *Default*: 10,000.
    pub hidden_items: usize,
    /// Same as [`Self::hidden_items`], in bytes of keys and values; at least 1. *Default*: 4 MiB.
    pub hidden_bytes: usize,
    /// Time in nanoseconds after which a backfill ends if its client takes nothing. Its pinned
    /// snapshot keeps the engine from freeing space. The client may ask again. *Default*: five
    /// minutes, less than the six minutes of the idle timeout.
    pub standstill_nanos: u64,
}

impl ProducerLimits {
    /// Creates the default limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            scans: 16,
            slice: ScanLimit::new(1_000, 256 * 1024),
            turn_bytes: 16 * 1024,
            hidden_items: 10_000,
            hidden_bytes: 4 << 20,
            standstill_nanos: 300_000_000_000,
        }
    }

    /// Sets the number of disk scans that are open at once.
    #[must_use]
    pub const fn with_scans(mut self, scans: usize) -> Self {
        self.scans = scans;
        self
    }

    /// Sets the limit of one step of a scan.
    #[must_use]
    pub const fn with_slice(mut self, slice: ScanLimit) -> Self {
        self.slice = slice;
        self
    }

    /// Sets the bytes that a stream sends in its turn.
    #[must_use]
    pub const fn with_turn_bytes(mut self, bytes: usize) -> Self {
        self.turn_bytes = bytes;
        self
    }

    /// Sets how many invisible items, or bytes of them, a backfill reads before it reports its
    /// progress.
    #[must_use]
    pub const fn with_hidden(mut self, items: usize, bytes: usize) -> Self {
        self.hidden_items = items;
        self.hidden_bytes = bytes;
        self
    }

    /// Sets the time in nanoseconds after which a backfill ends if its client takes nothing.
    #[must_use]
    pub const fn with_standstill_nanos(mut self, nanos: u64) -> Self {
        self.standstill_nanos = nanos;
        self
    }
}

impl Default for ProducerLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_producer_sets_its_own_field() {
        let slice = ScanLimit::new(1, 2);
        assert_eq!(
            ProducerLimits::new()
                .with_scans(3)
                .with_slice(slice)
                .with_turn_bytes(4)
                .with_hidden(5, 6)
                .with_standstill_nanos(7),
            ProducerLimits {
                scans: 3,
                slice,
                turn_bytes: 4,
                hidden_items: 5,
                hidden_bytes: 6,
                standstill_nanos: 7,
            }
        );
    }
}

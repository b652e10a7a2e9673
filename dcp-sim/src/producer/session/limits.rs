//! Limits of a producer: memory, turns and standstill of its streams.

use crate::producer::backfill::ScanLimit;

/// Limits of one connection's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Default for ProducerLimits {
    fn default() -> Self {
        Self {
            scans: 16,
            slice: ScanLimit::new(1_000, 256 * 1024),
            turn_bytes: 16 * 1024,
            hidden_items: 10_000,
            hidden_bytes: 4 << 20,
            standstill_nanos: 300_000_000_000,
        }
    }
}

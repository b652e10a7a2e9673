//! How much of a producer's memory and turn each stream may take.

use crate::producer::backfill::ScanLimit;

/// Limits of one connection's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// Scans of the disk that are open at once; at least 1. *Default*: 16.
    pub scans: usize,
    /// What one step of a scan reads. *Default*: 1,000 items, 256 KiB.
    pub slice: ScanLimit,
    /// Bytes a stream sends in its turn while other streams wait for theirs. *Default*: 16 KiB.
    pub turn_bytes: usize,
    /// A backfill that has read so many items, one after the other, which its client does not see, says how far it is; at
    /// least 1. *Default*: 10,000.
    pub hidden_items: usize,
    /// The same for so many bytes of keys and values; at least 1. *Default*: 4 MiB.
    pub hidden_bytes: usize,
    /// A backfill whose client takes nothing for so many nanoseconds ends, since it pins its snapshot: the engine can't give up
    /// what that has. The client may ask again. *Default*: five minutes, less than the six after which a silent connection is
    /// given up.
    pub standstill_nanos: u64,
}

impl Default for ProducerLimits {
    fn default() -> Self {
        Self {
            scans: 16,
            slice: ScanLimit {
                items: 1_000,
                bytes: 256 * 1024,
            },
            turn_bytes: 16 * 1024,
            hidden_items: 10_000,
            hidden_bytes: 4 << 20,
            standstill_nanos: 300_000_000_000,
        }
    }
}

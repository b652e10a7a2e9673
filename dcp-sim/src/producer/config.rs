//! What the host decides about its streams.

/// How a producer treats slow clients and long scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// A backfill that has read so many items, one after the other, which its client does not see, says how far it is. At
    /// least 1.
    pub hidden_items_max: usize,
    /// The same for so many bytes of keys and values. At least 1.
    pub hidden_bytes_max: usize,
    /// A backfill whose client takes nothing for so many nanoseconds ends, since it pins its snapshot: the engine can't give up
    /// what that has. The client may ask again.
    pub standstill_nanos_max: u64,
}

impl Default for ProducerConfig {
    /// 10,000 items, 4 MiB, five minutes: less than the six after which a silent connection is given up.
    fn default() -> Self {
        Self { hidden_items_max: 10_000, hidden_bytes_max: 4 << 20, standstill_nanos_max: 300_000_000_000 }
    }
}

//! Options of a consumer's connection.

use std::time::Duration;

/// Options of a consumer's connection.
///
/// ```
/// use std::time::Duration;
///
/// use dcp_sim::consumer::ConsumerOptions;
///
/// let options = ConsumerOptions::new()
///     .with_buffer_bytes(1 << 20)
///     .with_noop_interval(Duration::from_secs(1));
/// assert_eq!(options.buffer_bytes, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// Size of the flow-control buffer; 0 turns flow control off. *Default*: 10 MiB.
    pub buffer_bytes: u32,
    /// Interval between the producer's no-operations, which refuses one below 100 ms. *Default*: 20
    /// seconds, as Couchbase's replicas request.
    pub noop_interval: Duration,
}

impl ConsumerOptions {
    /// Creates the default options.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer_bytes: 10 << 20,
            noop_interval: Duration::from_secs(20),
        }
    }

    /// Sets the size of the flow-control buffer.
    #[must_use]
    pub const fn with_buffer_bytes(mut self, bytes: u32) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Sets the interval between the producer's no-operations.
    #[must_use]
    pub const fn with_noop_interval(mut self, interval: Duration) -> Self {
        self.noop_interval = interval;
        self
    }

    /// Returns the interval as the option's text: seconds, with decimals where it has some.
    pub(super) fn noop_seconds(&self) -> String {
        if self.noop_interval.subsec_nanos() == 0 {
            self.noop_interval.as_secs().to_string()
        } else {
            self.noop_interval.as_secs_f64().to_string()
        }
    }
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_in_seconds_with_decimals_only_if_it_has_some() {
        let text = |millis| {
            ConsumerOptions::new()
                .with_noop_interval(Duration::from_millis(millis))
                .noop_seconds()
        };
        assert_eq!([20_000, 1_500, 100].map(text), ["20", "1.5", "0.1"]);
    }
}

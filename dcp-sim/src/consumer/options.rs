//! Options of a consumer's connection.

/// Options of a consumer's connection.
///
/// ```
/// use dcp_sim::consumer::ConsumerOptions;
///
/// let options = ConsumerOptions::new()
///     .with_buffer_bytes(1 << 20)
///     .with_noop_millis(1_000);
/// assert_eq!(options.buffer_bytes, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// Size of the flow-control buffer; 0 turns flow control off. *Default*: 10 MiB.
    pub buffer_bytes: u32,
    /// Milliseconds between the producer's no-operations; a producer refuses fewer than 100.
    /// *Default*: 20,000, as Couchbase's replicas request.
    pub noop_millis: u64,
}

impl ConsumerOptions {
    /// Creates the default options.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer_bytes: 10 << 20,
            noop_millis: 20_000,
        }
    }

    /// Sets the size of the flow-control buffer.
    #[must_use]
    pub const fn with_buffer_bytes(mut self, bytes: u32) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Sets the milliseconds between the producer's no-operations.
    #[must_use]
    pub const fn with_noop_millis(mut self, millis: u64) -> Self {
        self.noop_millis = millis;
        self
    }

    /// Returns the interval as the option's text: seconds, with decimals where it has some.
    pub(super) fn noop_seconds(&self) -> String {
        let seconds = self.noop_millis / 1_000;
        match self.noop_millis % 1_000 {
            0 => seconds.to_string(),
            millis => format!("{seconds}.{millis:03}"),
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
                .with_noop_millis(millis)
                .noop_seconds()
        };
        assert_eq!([20_000, 1_500, 100].map(text), ["20", "1.500", "0.100"]);
    }

    #[test]
    fn each_setter_of_a_consumer_sets_its_own_field() {
        assert_eq!(
            ConsumerOptions::new()
                .with_buffer_bytes(1)
                .with_noop_millis(2),
            ConsumerOptions {
                buffer_bytes: 1,
                noop_millis: 2,
            }
        );
    }
}

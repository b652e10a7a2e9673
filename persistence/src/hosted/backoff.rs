//! The pause after a failed engine operation. It is in one place, so that flushes and calls treat a
//! failing disk alike.
//!
//! # Invariants
//!
//! - N2. The pause doubles with each failure in a row, up to a limit, so that a failing engine is
//!   neither left alone nor called in a loop.

/// Pause after the first failure.
const PAUSE_MICROS: u64 = 1_000;
/// Largest number of doublings.
const DOUBLINGS_MAX: u32 = 8;

/// Failures in a row of one kind of engine operation, and the pause that follows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Length of the longest pause in microseconds.
    pub const PAUSE_MICROS_MAX: u64 = PAUSE_MICROS << DOUBLINGS_MAX;

    /// Creates the back-off of an operation that has not failed.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Records a failure. Returns the pause before the next attempt, in microseconds: 1,000 after
    /// the first failure, twice the last one after each further one, and at most
    /// [`Backoff::PAUSE_MICROS_MAX`].
    #[must_use = "the host waits that long"]
    pub fn failed(&mut self) -> u64 {
        let pause = PAUSE_MICROS << self.failures.min(DOUBLINGS_MAX);
        // Only the first failures make a difference.
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Records a success: the next pause is the shortest again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards N2.
    #[test]
    fn pause_doubles_up_to_its_limit_and_restarts_after_a_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..11).map(|_| backoff.failed()).collect();
        let doubled = (0..=8).map(|doublings| 1_000 << doublings);
        let expected: Vec<u64> = doubled.chain([256_000; 2]).collect();
        assert_eq!(pauses, expected);
        assert_eq!(pauses.last(), Some(&Backoff::PAUSE_MICROS_MAX));
        backoff.succeeded();
        assert_eq!(backoff.failed(), 1_000);
    }
}

//! The runtime's sources of time and of random names. A program replaces them in its own tests.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lowtide_checkpoint::internal::sync::Signal;

/// Time and chance, as a store needs them.
pub trait Host: Send + Sync + fmt::Debug + 'static {
    /// Returns the time in nanoseconds since the epoch. It may go backwards: the vBuckets' clocks
    /// do not.
    fn now_nanos(&self) -> u64;

    /// Returns a number that names a new branch of a history. It is drawn at random, so that no
    /// other branch anywhere has the same. 0 is drawn again.
    fn draw_uuid(&self) -> u64;
}

/// The operating system's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OsHost;

impl OsHost {
    /// Returns the operating system as a host.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Host for OsHost {
    fn now_nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 counts as 1970, one after 2554 as 2554: the vBuckets' clocks go on from
        // the highest CAS either way.
        since.map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
    }

    fn draw_uuid(&self) -> u64 {
        getrandom::u64().unwrap_or_else(|_| {
            // A system without random numbers still has a clock that no other store shares.
            self.now_nanos()
        })
    }
}

/// Returns the seconds of a time in nanoseconds, or the last that an expiry holds, in 2106.
pub(super) fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Returns a sleep that ends after `timeout` at the latest.
pub(super) fn until(timeout: Duration) -> impl Fn(&Signal) -> bool {
    let deadline = Instant::now().checked_add(timeout);
    move |signal| match deadline {
        // Beyond the clock's range there is no limit.
        None => {
            signal.wait();
            true
        }
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            !left.is_zero() && signal.wait_for(left)
        }
    }
}

/// Returns the microseconds since `begun`.
pub(super) fn micros_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

//! Idle timeout: declares a connection dead after 360 s without bytes.
//!
//! The host passes the time in now and then, and resets the timer when bytes arrive. The interval
//! starts at the first tick after the last byte, so a host that was suspended declares no peer
//! dead.
//!
//! Source: kv_engine, `docs/dcp/documentation/dead-connections.md`, "Update for Spock (5.0.0)".

/// A connection without bytes for this long is dead.
const IDLE_NANOS_MAX: u64 = 360_000_000_000;

/// Time since which no bytes arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdleTimer {
    since: Option<u64>,
}

impl IdleTimer {
    /// Restarts the interval: bytes arrived.
    pub(crate) fn reset(&mut self) {
        self.since = None;
    }

    /// Checks the interval at `now`.
    ///
    /// # Errors
    /// Length of the interval, if the connection is dead.
    pub(crate) fn tick(&mut self, now: u64) -> Result<(), u64> {
        let since = *self.since.get_or_insert(now);
        let nanos = now.saturating_sub(since);
        if nanos >= IDLE_NANOS_MAX {
            Err(nanos)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_timer_expires_only_after_the_full_interval() {
        let mut timer = IdleTimer::default();
        assert_eq!(timer.tick(5), Ok(()));
        assert_eq!(timer.tick(4 + IDLE_NANOS_MAX), Ok(()));
        timer.reset();
        assert_eq!(
            timer.tick(6 + IDLE_NANOS_MAX),
            Ok(()),
            "it counts from here"
        );
        assert_eq!(timer.tick(6 + 2 * IDLE_NANOS_MAX), Err(IDLE_NANOS_MAX));
    }
}

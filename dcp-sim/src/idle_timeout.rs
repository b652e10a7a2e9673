//! How long nothing has come. The host tells the time now and then; bytes come in between.
//!
//! What always holds: the time counts from the first tick after the last byte, so that a host that was asleep itself takes
//! nobody for dead.

/// A connection without a byte for so long is dead.
const IDLE_NANOS_MAX: u64 = 360_000_000_000;

/// Since when nothing has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdleTimer {
    since: Option<u64>,
}

impl IdleTimer {
    /// Something came.
    pub(crate) fn reset(&mut self) {
        self.since = None;
    }

    /// Takes the time.
    ///
    /// # Errors
    /// How long it has been, if that is too long.
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
    fn only_a_long_silence_is_too_long() {
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

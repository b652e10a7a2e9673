//! The hybrid logical clock that makes CAS values from the time that callers pass in.
//!
//! The upper 48 bits are the time in nanoseconds. The lower 16 bits count within one tick.
//!
//! # Invariants
//! - Every value is greater than all values before it, made or observed here, whatever the caller's
//!   clock does. At the highest number there is no next value.
//! - Only [`Hlc::set`] moves the clock back.

use super::ids::Cas;

const LOGICAL_BITS: u64 = 0xffff;

/// A clock, which is the highest CAS so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hlc {
    max: Cas,
}

impl Hlc {
    pub(crate) fn starting_at(max: Cas) -> Self {
        Self { max }
    }

    /// Returns the CAS of an event at `now` (nanoseconds since the epoch), or `None` if there is no
    /// higher one.
    pub(crate) fn next(&mut self, now: u64) -> Option<Cas> {
        self.max = Cas((now & !LOGICAL_BITS).max(self.max.0.checked_add(1)?));
        Some(self.max)
    }

    /// Returns the highest CAS so far.
    pub(crate) fn max(&self) -> Cas {
        self.max
    }

    /// Sets the clock to `cas`, which may be lower.
    pub(crate) fn set(&mut self, cas: Cas) {
        self.max = cas;
    }

    /// Moves the clock up to a CAS made elsewhere.
    pub(crate) fn observe(&mut self, cas: Cas) {
        self.max = self.max.max(cas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_never_falls() {
        let mut clock = Hlc::default();
        let first = clock.next(10 << 16);
        let same_tick = clock.next(10 << 16);
        let earlier = clock.next(3 << 16);
        clock.observe(Cas(99 << 16));
        let later = clock.next(11 << 16);
        let made = [10 << 16, (10 << 16) + 1, (10 << 16) + 2].map(|cas| Some(Cas(cas)));
        assert_eq!([first, same_tick, earlier], made);
        assert_eq!(later, Some(Cas((99 << 16) + 1)));
    }

    #[test]
    fn clock_ahead_of_time_counts_until_time_catches_up() {
        let mut clock = Hlc::default();
        clock.observe(Cas(50 << 16));
        assert_eq!(
            clock.next(40 << 16),
            Some(Cas((50 << 16) + 1)),
            "ahead of the caller's clock"
        );
        clock.observe(Cas(7));
        assert_eq!(clock.next(60 << 16), Some(Cas(60 << 16)));
        assert_eq!(
            clock.next((61 << 16) + 9),
            Some(Cas(61 << 16)),
            "the lower bits are not time"
        );
    }

    #[test]
    fn clock_at_the_maximum_has_no_next_value_until_set_back() {
        let mut clock = Hlc::starting_at(Cas(u64::MAX));
        assert_eq!((clock.next(5 << 16), clock.max()), (None, Cas(u64::MAX)));
        clock.set(Cas(4 << 16));
        assert_eq!(clock.next(5 << 16), Some(Cas(5 << 16)));
    }
}

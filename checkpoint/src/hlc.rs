//! The hybrid logical clock that makes CAS values: the time a caller passes in, never going back.
//!
//! The upper 48 bits are the time in nanoseconds, the lower 16 count what happens within one tick. What always holds:
//! every value is greater than all before it, seen or made here, whatever the caller's clock does; when there is none
//! greater, there is none. Only [`Hlc::set`] takes it back.

use crate::Cas;

const LOGICAL_BITS: u64 = 0xffff;

/// The highest CAS so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hlc {
    max: Cas,
}

impl Hlc {
    pub(crate) fn starting_at(max: Cas) -> Self {
        Self { max }
    }

    /// The CAS of something that happens at `now` (nanoseconds since the epoch).
    pub(crate) fn next(&mut self, now: u64) -> Option<Cas> {
        self.max = Cas((now & !LOGICAL_BITS).max(self.max.0.checked_add(1)?));
        Some(self.max)
    }

    /// The highest so far.
    pub(crate) fn max(&self) -> Cas {
        self.max
    }

    /// Goes on from `cas`, higher or lower than it was.
    pub(crate) fn set(&mut self, cas: Cas) {
        self.max = cas;
    }

    /// Takes note of a CAS made elsewhere.
    pub(crate) fn observe(&mut self, cas: Cas) {
        self.max = self.max.max(cas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
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
    fn a_clock_that_lags_catches_up_with_what_it_saw_and_then_tells_the_time_again() {
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
    fn after_the_highest_there_is_none_until_it_is_set_back() {
        let mut clock = Hlc::starting_at(Cas(u64::MAX));
        assert_eq!((clock.next(5 << 16), clock.max()), (None, Cas(u64::MAX)));
        clock.set(Cas(4 << 16));
        assert_eq!(clock.next(5 << 16), Some(Cas(5 << 16)));
    }
}

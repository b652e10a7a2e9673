//! The hybrid logical clock that makes CAS values: the time a caller passes in, never going back.
//!
//! The upper 48 bits are the time in nanoseconds, the lower 16 count what happens within one tick. What always holds:
//! every value is greater than all before it, seen or made here, whatever the caller's clock does.

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
    pub(crate) fn next(&mut self, now: u64) -> Cas {
        self.max = Cas((now & !LOGICAL_BITS).max(self.max.0.saturating_add(1)));
        self.max
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
        assert_eq!([first, same_tick, earlier].map(|cas| cas.0), [10 << 16, (10 << 16) + 1, (10 << 16) + 2]);
        assert_eq!(later, Cas((99 << 16) + 1));
    }
}

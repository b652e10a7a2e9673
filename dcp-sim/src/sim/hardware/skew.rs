//! Deviation of the nodes' clocks from the true time.
//!
//! Each start of a node draws an offset within a bound, from a random stream of its own. A bound of
//! 0 draws nothing and leaves every clock exact. So a run with skewed clocks differs from one
//! without only in its nodes' times.

use crate::sim::rng::SimRng;

/// Stream of the seed for offsets.
const STREAM: u64 = 50;

/// Draws the offsets of starting nodes.
#[derive(Debug)]
pub(in crate::sim) struct SkewedClocks {
    rng: SimRng,
    bound_micros: u64,
}

impl SkewedClocks {
    pub(in crate::sim) fn new(seed: u64, bound_micros: u64) -> Self {
        Self {
            rng: SimRng::stream(seed, STREAM),
            bound_micros,
        }
    }

    /// Draws the offset of a starting node in nanoseconds, positive if its clock is ahead.
    pub(in crate::sim) fn offset_nanos(&mut self) -> i64 {
        if self.bound_micros == 0 {
            return 0;
        }
        let drawn = self.rng.range(0, self.bound_micros.saturating_mul(2));
        let ahead = i64::try_from(drawn).unwrap_or(i64::MAX);
        let bound = i64::try_from(self.bound_micros).unwrap_or(i64::MAX);
        ahead.saturating_sub(bound).saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_offsets_are_within_the_bound_in_both_directions() {
        let mut clocks = SkewedClocks::new(7, 1_000);
        let drawn: Vec<_> = (0..100).map(|_| clocks.offset_nanos()).collect();
        assert!(
            drawn
                .iter()
                .all(|offset| (-1_000_000..=1_000_000).contains(offset)),
            "{drawn:?}"
        );
        assert!(
            drawn.iter().any(|&offset| offset < 0) && drawn.iter().any(|&offset| offset > 0),
            "{drawn:?}"
        );
    }

    #[test]
    fn clock_offsets_are_zero_without_a_bound() {
        let mut clocks = SkewedClocks::new(7, 0);
        assert_eq!([clocks.offset_nanos(), clocks.offset_nanos()], [0, 0]);
    }
}

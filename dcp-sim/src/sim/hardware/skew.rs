//! How far the nodes' clocks are from the true time.
//!
//! Each start of a node draws an offset from a stream of the seed of its own, within a bound; a bound of 0 draws
//! nothing and leaves every clock right. So a run with skewed clocks differs from one without in its nodes' times only.

use crate::sim::rng::SimRng;

/// The stream of the seed that offsets are drawn from.
const STREAM: u64 = 50;

/// Draws the offsets of nodes that start.
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

    /// Draws the offset of a node that starts: nanoseconds, positive if its clock is ahead.
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
    fn offsets_within_the_bound_go_either_way() {
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
    fn without_a_bound_every_clock_is_right() {
        let mut clocks = SkewedClocks::new(7, 0);
        assert_eq!([clocks.offset_nanos(), clocks.offset_nanos()], [0, 0]);
    }
}

//! Laws by which dimensions are drawn.

use lowtide_checkpoint::internal::Invariant;

use crate::sim::rng::SimRng;

/// Probability law over integers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Law {
    /// From `low` to `high`; each doubling has the same probability.
    Log { low: u64, high: u64 },
    /// One of these; one that is listed more often is more likely.
    OneOf(&'static [u64]),
}

impl Law {
    pub(super) fn draw(self, rng: &mut SimRng) -> u64 {
        match self {
            Self::Log { low, high } => log(rng, low, high),
            Self::OneOf(values) => rng
                .pick(values)
                .copied()
                .expected("W8", "a law has a value")
                // Below the bounds of most dimensions: the cluster is refused.
                .unwrap_or(0),
        }
    }
}

/// Draws a number from `low` to `high`; each doubling has the same probability. `low` is at least
/// 1.
pub(crate) fn log(rng: &mut SimRng, low: u64, high: u64) -> u64 {
    let low = low.max(1);
    let high = high.max(low);
    let doublings = u64::from(high.ilog2() - low.ilog2());
    // `high` may cut the last doubling short; its probability stays the same.
    let floor = low << rng.range(0, doublings);
    rng.range(floor, (floor * 2 - 1).min(high)).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doublings_are_equally_likely() {
        let mut rng = SimRng::new(5);
        let drawn: Vec<_> = (0..8_000).map(|_| log(&mut rng, 1, 255)).collect();
        for power in 0..8 {
            let count = drawn
                .iter()
                .filter(|&&value| value >= 1 << power && value < 2 << power)
                .count();
            assert!((850..1_150).contains(&count), "{power}: {count}");
        }
        for (low, high) in [(1, 1), (20, 20_000), (50_000, 180_000_000), (3, 4)] {
            let drawn: Vec<_> = (0..2_000).map(|_| log(&mut rng, low, high)).collect();
            assert!(
                drawn.iter().all(|value| (low..=high).contains(value)),
                "{low} {high}"
            );
        }
    }
}

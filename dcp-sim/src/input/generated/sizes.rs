//! Sizes with the distributions that were fitted to published measurements.
//!
//! A distribution is a table of [`STEPS`] equally likely sizes, computed from its quantile
//! function. Sizes rarer than one in twice the steps are cut off.
//!
//! # Invariants
//!
//! - A draw is one of the table's sizes, inside the bounds.
//! - The functions are [`exact`](super::exact), so a draw gives an equal size on every machine.

use super::exact::{ln, power};

/// Number of sizes in the table.
const STEPS: u32 = 1 << 16;

/// Equally likely sizes, ascending.
pub(super) struct Sizes(Vec<u32>);

impl Sizes {
    /// Returns a generalized Pareto distribution from 0.
    pub(super) fn pareto(scale: f64, shape: f64, bounds: (u32, u32)) -> Self {
        Self::of(bounds, |share| {
            scale / shape * (power(1.0 / (1.0 - share), shape) - 1.0)
        })
    }

    /// Returns a generalized extreme value distribution.
    pub(super) fn extreme_value(location: f64, scale: f64, shape: f64, bounds: (u32, u32)) -> Self {
        Self::of(bounds, |share| {
            location + scale / shape * (power(ln(1.0 / share), -shape) - 1.0)
        })
    }

    fn of((least, most): (u32, u32), quantile: impl Fn(f64) -> f64) -> Self {
        let steps = f64::from(STEPS);
        let size =
            |step: u32| (quantile((f64::from(step) + 0.5) / steps) as u32).clamp(least, most);
        Self((0..STEPS).map(size).collect())
    }

    /// Returns the size for 64 random bits.
    pub(super) fn at(&self, draw: u64) -> usize {
        let index = draw % u64::from(STEPS);
        usize::try_from(index)
            .ok()
            .and_then(|index| self.0.get(index))
            .map_or(0, |&size| size as usize)
    }

    #[cfg(test)]
    pub(super) fn mean(&self) -> f64 {
        self.0.iter().map(|&size| f64::from(size)).sum::<f64>() / f64::from(STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: (u32, u32) = (0, u32::MAX);

    #[test]
    fn mean_size_is_that_of_the_distribution() {
        // scale / (1 - shape)
        let pareto = Sizes::pareto(25.45, 0.2615, ANY).mean();
        assert!((pareto - 25.45 / (1.0 - 0.2615)).abs() < 1.0, "{pareto}");
        // location + scale (gamma(1 - shape) - 1) / shape; gamma(0.921312) is 1.0543
        let extreme = Sizes::extreme_value(30.7984, 8.20449, 0.078688, ANY).mean();
        assert!((extreme - 36.46).abs() < 1.0, "{extreme}");
    }

    #[test]
    fn sizes_stay_in_bounds_and_rise() {
        let sizes = Sizes::pareto(214.476, 0.348238, (1, 4_000));
        assert!(sizes.0.is_sorted());
        assert_eq!(
            (
                sizes.at(0),
                sizes.at(u64::from(STEPS) - 1),
                sizes.at(u64::MAX)
            ),
            (1, 4_000, 4_000)
        );
        let median = sizes.at(u64::from(STEPS) / 2);
        assert_eq!(median, 168, "scale / shape * (2^shape - 1)");
    }
}

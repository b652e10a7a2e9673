//! Zipf's law, with identical results on every machine.
//!
//! A table maps a uniform number to a rank. The shares are computed with [`exact`](super::exact)'s
//! functions and rounded to integers once; sampling compares integers.

use super::exact::{exp, ln};

/// YCSB's exponent in hundredths.
pub(super) const YCSB: u32 = 99;

/// Share of the first rank in units. With YCSB's exponent the rarest of 2^26 ranks still has over
/// 10,000 units.
const UNIT: f64 = (1u64 << 40) as f64;

/// Cumulative shares.
pub(super) struct Zipf {
    /// Sum of the shares of ranks 0 to n, at index n. Strictly increasing.
    sums: Vec<u64>,
}

impl Zipf {
    /// Creates the table for an exponent in hundredths.
    pub(super) fn new(ranks: u64, exponent: u32) -> Self {
        let mut sum = 0u64;
        let sums = (1..=ranks).map(|place| {
            sum = sum.saturating_add(share(place, exponent));
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// Returns the sum of the shares of the first `ranks` ranks. A draw below it gives one of these
    /// ranks.
    pub(super) fn total(&self, ranks: u64) -> u64 {
        let Some(last) = ranks.checked_sub(1) else {
            return 0;
        };
        let total = usize::try_from(last)
            .ok()
            .and_then(|last| self.sums.get(last));
        debug_assert!(total.is_some(), "{ranks} of {} ranks", self.sums.len());
        // Without shares every draw gives the first rank.
        total.copied().unwrap_or(0)
    }

    /// Returns the rank whose share contains a draw.
    pub(super) fn rank(&self, draw: u64) -> u64 {
        self.sums.partition_point(|&sum| sum <= draw) as u64
    }
}

/// Returns `place` to the power of minus `exponent` hundredths, in units; never 0.
fn share(place: u64, exponent: u32) -> u64 {
    let place = place as f64;
    // The rest of the exponent after the division is small, and the exponential of a small number
    // is exact.
    let rest = (100.0 - f64::from(exponent)) / 100.0;
    ((exp(rest * ln(place)) / place * UNIT) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_shares_follow_the_law() {
        for place in [1u64, 2, 3, 4, 7, 10, 1000, 65_537, 1 << 26] {
            let exact = (place as f64).powf(-0.99) * UNIT;
            let share = share(place, YCSB);
            let error = (share as f64 - exact).abs() / exact;
            assert!(error < 1e-4, "place {place}: {share} is not {exact}");
        }
    }

    /// Expected values from `python3 -c 'print(int(2**40 * n**-0.99))'`.
    #[test]
    fn zipf_shares_are_exact_integers() {
        assert_eq!(
            [1, 2, 10, 1000].map(|place| share(place, YCSB)),
            [1 << 40, 553_579_667_970, 112_512_254_363, 1_178_147_935]
        );
    }

    #[test]
    fn draw_gives_the_rank_whose_share_contains_it() {
        let zipf = Zipf::new(100, YCSB);
        let mut start = 0;
        for rank in 0..100 {
            let end = zipf.total(rank + 1);
            assert!(end > start);
            assert_eq!((zipf.rank(start), zipf.rank(end - 1)), (rank, rank));
            start = end;
        }
        assert_eq!(zipf.total(0), 0);
    }
}

//! Random numbers of the simulation: deterministic streams from a seed.
//!
//! The sampling is implemented here, so a seed in a bug report keeps its meaning when a library
//! changes.

use lowtide_checkpoint::Vbid;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Deterministic stream of random numbers.
#[derive(Debug)]
pub struct SimRng(ChaCha8Rng);

impl SimRng {
    /// Creates the stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The library may change the expansion of `seed_from_u64`.
        let mut bytes = [0; 32];
        for (slot, byte) in bytes.iter_mut().zip(seed.to_be_bytes()) {
            *slot = byte;
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Creates a further stream of a seed, independent of all others.
    #[must_use]
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        for (slot, byte) in bytes
            .iter_mut()
            .zip(seed.to_be_bytes().into_iter().chain(stream.to_be_bytes()))
        {
            *slot = byte;
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Draws a number in `low..=high`; returns `low` if `high` is lower.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        // Upper half of a 128-bit product: the bias is negligible, and the result is equal on every
        // machine.
        low + ((u128::from(self.0.next_u64()) * u128::from(span)) >> 64) as u64
    }

    /// Draws one of the choices; `None` if there is none. Draws from the stream in any case.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// Draws one of the first `vbuckets` vBuckets.
    pub(in crate::sim) fn vbucket(&mut self, vbuckets: u16) -> Vbid {
        // The number is below a `u16`.
        Vbid(self.below(usize::from(vbuckets)) as u16)
    }

    /// Draws an index below `count`, or 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.range(0, (count as u64).saturating_sub(1)) as usize
    }

    /// Returns `true` with a probability of `permille` in a thousand.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.range(0, 999) < permille
    }

    /// Draws a uuid of a branch: 48 bits, never 0.
    pub fn uuid(&mut self) -> u64 {
        self.range(1, (1 << 48) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_always_gives_the_same_numbers() {
        let drawn: Vec<_> = {
            let mut rng = SimRng::new(1);
            (0..4).map(|_| rng.range(0, 999)).collect()
        };
        // A change here changes the meaning of every seed in every bug report.
        assert_eq!(drawn, SEED_1);
    }

    const SEED_1: [u64; 4] = [768, 642, 648, 846];

    #[test]
    fn streams_of_a_seed_differ_and_stream_zero_is_the_seeds() {
        let drawn = |mut rng: SimRng| (0..4).map(|_| rng.range(0, 999)).collect::<Vec<_>>();
        assert_eq!(drawn(SimRng::stream(1, 0)), SEED_1);
        assert_ne!(drawn(SimRng::stream(1, 1)), SEED_1);
        assert_ne!(drawn(SimRng::stream(1, 1)), drawn(SimRng::stream(1, 2)));
    }

    #[test]
    fn range_includes_both_ends() {
        let mut rng = SimRng::new(7);
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| rng.range(3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
    }
}

//! Choice of the key of each operation of a generated workload.

use rand_chacha::ChaCha8Rng;

use super::distribution::{Distribution, range};
use super::zipf::Zipf;

/// Sequence of keys of one source's operations.
pub(super) struct KeyChoice {
    kind: Distribution,
    ops: u64,
    keys: u64,
    /// Shares of the ranks; none if all keys are equally likely.
    zipf: Zipf,
    /// Number of chosen keys.
    made: u64,
    /// Number of inserted keys, in order; used only by [`Distribution::Latest`].
    inserted: u64,
}

impl KeyChoice {
    /// Creates the sequence for `ops` operations on `keys` keys, with the exponent of the skewed
    /// distributions in hundredths.
    pub(super) fn new(kind: Distribution, ops: u64, keys: u64, exponent: u32) -> Self {
        let ranks = if kind == Distribution::Uniform {
            0
        } else {
            keys
        };
        Self {
            kind,
            ops,
            keys,
            zipf: Zipf::new(ranks, exponent),
            made: 0,
            inserted: 0,
        }
    }

    pub(super) fn kind(&self) -> Distribution {
        self.kind
    }

    /// Returns the next operation's key, and `true` if it is inserted.
    pub(super) fn next(&mut self, rng: &mut ChaCha8Rng) -> (u64, bool) {
        let before = self.made;
        self.made += 1;
        match self.kind {
            Distribution::Uniform => (range(rng, self.keys), false),
            Distribution::Zipfian => (self.rank(rng, self.keys), false),
            Distribution::Latest => {
                // The first operation inserts a key. The last one has seen every key inserted, if
                // there are enough operations.
                let due = u128::from(self.keys) * u128::from(before) / u128::from(self.ops.max(1));
                if self.inserted < self.keys && u128::from(self.inserted) <= due {
                    self.inserted += 1;
                    return (self.inserted - 1, true);
                }
                let age = self.rank(rng, self.inserted);
                (self.inserted - 1 - age, false)
            }
        }
    }

    fn rank(&self, rng: &mut ChaCha8Rng, among: u64) -> u64 {
        let draw = range(rng, self.zipf.total(among));
        self.zipf.rank(draw)
    }
}

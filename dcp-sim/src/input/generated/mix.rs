//! Generated writes with free choice of every parameter: key distribution, share of deletes, sizes
//! of keys and values.
//!
//! [`GeneratedSource`](super::GeneratedSource) fixes most of these; simulations with a drawn
//! workload need all of them. Equal mixes and seeds give equal bytes on every machine.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;

use super::choice::KeyChoice;
use super::distribution::{Distribution, range};
use super::live_keys::LiveKeys;
use super::source::{KEYS_MAX, VALUE_BYTES_MAX, mix, seeded, value_of};
use crate::input::error::InputError;
use crate::input::source::{Change, ChangeBatch, Source};

/// Largest key of a mix: the limit of a store's files, less prefixes.
const KEY_BYTES_MAX: u64 = 4_000;

/// Spread of the sizes of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueSpread {
    /// Every value has the largest size.
    Constant,
    /// From empty to the largest size: all powers of two are equally likely.
    Wide,
}

/// Parameters of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Distribution of the keys.
    pub kind: Distribution,
    /// Exponent of the skewed distributions in hundredths; YCSB's is 99.
    pub skew_hundredths: u32,
    /// Number of operations.
    pub ops: u64,
    /// Number of distinct keys; 1 to 2^26.
    pub keys: u64,
    /// Share of deletes among operations on live keys, in thousandths.
    pub deletes_permille: u64,
    /// Size of the largest key; other sizes are spread as [`ValueSpread::Wide`]. A key has at least
    /// the digits of its number. 1 to 4,000.
    pub key_bytes: u64,
    /// Size of the largest value except large ones; up to 20 MiB.
    pub value_bytes: u64,
    /// Spread of the sizes of values, except large ones.
    pub value_spread: ValueSpread,
    /// Mean number of large values in the run.
    pub large_values: u64,
    /// Size of the largest value; a large value has at least half of it. Up to 20 MiB.
    pub large_bytes: u64,
}

/// Source that generates the writes of a mix.
pub struct MixSource {
    mix: Mix,
    seed: u64,
    rng: ChaCha8Rng,
    choice: KeyChoice,
    live: LiveKeys,
    made: u64,
}

impl MixSource {
    /// Creates a source of that mix.
    ///
    /// # Errors
    /// [`InputError::InvalidArgument`] for a parameter out of its bounds.
    pub fn new(mix: Mix, seed: u64) -> Result<Self, InputError> {
        let value_bytes_max = VALUE_BYTES_MAX as u64;
        for (what, is, least, most) in [
            ("keys", mix.keys, 1, KEYS_MAX),
            ("deletes in a thousand", mix.deletes_permille, 0, 1_000),
            ("bytes of a key", mix.key_bytes, 1, KEY_BYTES_MAX),
            ("bytes of a value", mix.value_bytes, 0, value_bytes_max),
            (
                "bytes of a large value",
                mix.large_bytes,
                0,
                value_bytes_max,
            ),
        ] {
            if !(least..=most).contains(&is) {
                let error = format!("a generated workload has {least} to {most} {what}, not {is}");
                return Err(InputError::InvalidArgument(error));
            }
        }
        let choice = KeyChoice::new(mix.kind, mix.ops, mix.keys, mix.skew_hundredths);
        Ok(Self {
            mix,
            seed,
            rng: seeded(seed),
            choice,
            live: LiveKeys::new(mix.keys),
            made: 0,
        })
    }

    fn value_bytes(&mut self) -> usize {
        let Mix {
            ops,
            value_bytes,
            value_spread,
            large_values,
            large_bytes,
            ..
        } = self.mix;
        let bytes = if range(&mut self.rng, ops.max(1)) < large_values {
            large_bytes - range(&mut self.rng, large_bytes / 2 + 1)
        } else {
            match value_spread {
                ValueSpread::Constant => value_bytes,
                ValueSpread::Wide => {
                    let drawn = [range(&mut self.rng, 64), range(&mut self.rng, u64::MAX)];
                    wide(drawn, value_bytes)
                }
            }
        };
        size(bytes)
    }

    /// Returns a key; its size depends only on its number.
    fn key(&self, number: u64) -> Bytes {
        let first = mix(mix(self.seed) ^ !number);
        let second = mix(number ^ !mix(self.seed));
        let bytes = wide([first % 64, second], self.mix.key_bytes);
        let bytes = size(bytes);
        Bytes::from(format!("{number:0bytes$x}"))
    }
}

/// Returns a drawn size. It is at most [`VALUE_BYTES_MAX`], as the mix was validated.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(VALUE_BYTES_MAX, |bytes| bytes.min(VALUE_BYTES_MAX))
}

/// Maps a number below 64 and any number to a number in `0..=most`; all powers of two are equally
/// likely.
fn wide([power, any]: [u64; 2], most: u64) -> u64 {
    // 0, 1, 2 to 3, 4 to 7 and so on.
    let ranges = u64::from(u64::BITS - most.leading_zeros()) + 1;
    let Some(lowest) = (power % ranges).checked_sub(1).map(|power| 1 << power) else {
        return 0;
    };
    lowest + any % (most.min(lowest * 2 - 1) - lowest + 1)
}

impl Source for MixSource {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        if self.made == self.mix.ops {
            return Ok(None);
        }
        let (number, inserts) = self.choice.next(&mut self.rng);
        self.made += 1;
        let unlucky = range(&mut self.rng, 1_000) < self.mix.deletes_permille;
        let deletes = self.live.write(number, unlucky && !inserts);
        // The size is drawn for deletes too, so the share of deletes changes no size.
        let bytes = self.value_bytes();
        let value = (!deletes).then(|| value_of(self.seed, number, self.made, bytes));
        let change = Change {
            key: self.key(number),
            value,
        };
        Ok(Some(ChangeBatch {
            label: format!("operation {}", self.made),
            changes: vec![change],
        }))
    }

    fn batches_total(&self) -> Option<u64> {
        Some(self.mix.ops)
    }

    fn describe(&self) -> String {
        let Mix {
            kind,
            ops,
            keys,
            value_bytes,
            deletes_permille,
            ..
        } = self.mix;
        format!(
            "{ops} writes to {keys} keys ({}), {deletes_permille} in 1,000 deletes, values of up to {value_bytes} \
             bytes, seed {}",
            kind.name(),
            self.seed
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MIX: Mix = Mix {
        kind: Distribution::Zipfian,
        skew_hundredths: 120,
        ops: 5_000,
        keys: 300,
        deletes_permille: 250,
        key_bytes: 200,
        value_bytes: 1_000,
        value_spread: ValueSpread::Wide,
        large_values: 5,
        large_bytes: 1 << 20,
    };

    fn made(mix: Mix) -> Vec<Change> {
        let mut source = MixSource::new(mix, 3).expect("in bounds");
        std::iter::from_fn(|| source.next_batch().expect("made up"))
            .flat_map(|batch| batch.changes)
            .collect()
    }

    #[test]
    fn mix_has_the_chosen_parameters() {
        for kind in Distribution::ALL {
            let changes = made(Mix { kind, ..MIX });
            assert_eq!(changes.len(), 5_000);
            let keys: BTreeSet<_> = changes.iter().map(|change| change.key.clone()).collect();
            assert!(keys.len() > 100 && keys.len() <= 300, "{}", keys.len());
            let longest = keys.iter().map(Bytes::len).max().expect("some");
            assert!(
                (128..=200).contains(&longest) && keys.iter().any(|key| key.len() < 5),
                "{longest}"
            );
            let sizes: Vec<_> = changes
                .iter()
                .filter_map(|change| Some(change.value.as_ref()?.len()))
                .collect();
            let large = sizes.iter().filter(|&&bytes| bytes > 1_000).count();
            assert!((1..15).contains(&large), "{large}");
            assert!(
                sizes
                    .iter()
                    .all(|&bytes| bytes <= 1_000 || (1 << 19..=1 << 20).contains(&bytes))
            );
            assert!(
                sizes.contains(&0) && sizes.contains(&1) && sizes.iter().any(|&bytes| bytes > 900)
            );
            let deletes = changes.len() - sizes.len();
            assert!((600..1_300).contains(&deletes), "{deletes}");
        }
        let constant = Mix {
            value_spread: ValueSpread::Constant,
            large_values: 0,
            deletes_permille: 0,
            ..MIX
        };
        assert!(
            made(constant)
                .iter()
                .all(|change| change.value.as_ref().is_some_and(|v| v.len() == 1_000))
        );
    }

    #[test]
    fn short_keys_are_distinct() {
        let keys: BTreeSet<_> = made(Mix {
            kind: Distribution::Latest,
            key_bytes: 1,
            ..MIX
        })
        .into_iter()
        .map(|change| change.key)
        .collect();
        assert_eq!(keys.len(), 300);
    }

    #[test]
    fn wide_sizes_cover_the_whole_range() {
        for most in [0, 1, 2, 3, 7, 8, 100] {
            let drawn: BTreeSet<_> = (0..64)
                .flat_map(|power| (0..200).map(move |any| wide([power, any], most)))
                .collect();
            assert!(drawn.into_iter().eq(0..=most), "{most}");
        }
    }

    #[test]
    fn mix_parameters_out_of_bounds_are_refused() {
        for bad in [
            Mix { keys: 0, ..MIX },
            Mix {
                deletes_permille: 1_001,
                ..MIX
            },
            Mix {
                key_bytes: 4_001,
                ..MIX
            },
            Mix {
                value_bytes: (20 << 20) + 1,
                ..MIX
            },
        ] {
            assert!(MixSource::new(bad, 1).is_err(), "{bad:?}");
        }
    }
}

//! Generated writes after published measurements of production systems.
//!
//! Only the writes of a workload count here: the shares of its reads are left out, and the rest is
//! scaled up. As for [`GeneratedSource`](super::GeneratedSource), equal arguments give equal bytes
//! on every machine.
//!
//! - [`Preset::Etc`]: Facebook's general-purpose cache. Atikoglu et al., *Workload Analysis of a
//!   Large-Scale Key-Value Store*, SIGMETRICS 2012. Key sizes have a generalized extreme value
//!   distribution (30.7984, 8.20449, 0.078688). Value sizes have a generalized Pareto distribution
//!   (scale 214.476, shape 0.348238). The paper lists the values below 15 bytes one by one; that
//!   list is left out. The paper's model has neither a distribution of keys nor deletes: the keys
//!   follow YCSB's Zipf, and deletes are as rare as in [`GeneratedSource`](super::GeneratedSource).
//! - [`Preset::ZippyDb`]: a distributed store of object metadata. Cao et al., *Characterizing,
//!   Modeling, and Benchmarking RocksDB Key-Value Workloads at Facebook*, FAST 2020. There are 13
//!   puts to 6 deletes, and keys of 48 bytes. 73 % of the keys are put once and under 0.001 % over
//!   ten times, as in a geometric distribution that continues with 27 %. The value sizes are the
//!   generalized Pareto distribution (scale 25.45, shape 0.2615) of the authors' benchmark
//!   (`db_bench mixgraph`). The choice of deleted keys is our own: any live key.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::distribution::range;
use super::live_keys::LiveKeys;
use super::sizes::Sizes;
use super::source::{DELETE_ONE_IN, KEYS_MAX, mix, seeded, value_of};
use super::zipf::{YCSB, Zipf};
use crate::input::error::InputError;
use crate::input::source::{Change, ChangeBatch, Source};

/// Memcached's limits, for [`Preset::Etc`]; a key's number needs 16 bytes.
const ETC_KEY_BYTES: (u32, u32) = (16, 250);
const ETC_VALUE_BYTES: (u32, u32) = (1, 1_000_000);
const ZIPPYDB_VALUE_BYTES: (u32, u32) = (1, 1_000_000);
/// Share of deletes: 6 of 19 writes.
const ZIPPYDB_DELETES: (u64, u64) = (6, 19);
/// Share of puts that are followed by another put of the key: 27 of 100.
const ZIPPYDB_PUT_AGAIN: (u64, u64) = (27, 100);

/// Measured workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Facebook's general-purpose memcached pool.
    Etc {
        /// Number of distinct keys.
        keys: u64,
    },
    /// Facebook's ZippyDB. Its keys are mostly written once, so their number follows from the
    /// operations.
    ZippyDb,
}

impl Preset {
    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etc { .. } => "etc",
            Self::ZippyDb => "zippydb",
        }
    }
}

/// Source that generates the writes of a preset.
pub struct PresetSource {
    preset: Preset,
    ops: u64,
    made: u64,
    seed: u64,
    rng: ChaCha8Rng,
    value_sizes: Sizes,
    keys: Keys,
}

/// State of the keys.
enum Keys {
    Etc {
        zipf: Zipf,
        sizes: Sizes,
        live: LiveKeys,
    },
    /// `again` lists keys with another put to come. `live` lists the live keys, and `is_live` has
    /// them by number.
    ZippyDb {
        inserted: u64,
        again: Vec<u64>,
        live: Vec<u64>,
        is_live: Vec<bool>,
    },
}

impl PresetSource {
    /// Creates a source of `ops` operations.
    ///
    /// # Errors
    /// [`InputError::InvalidArgument`] for no keys, or for more than 2^26 keys or operations, since
    /// each needs memory.
    pub fn new(preset: Preset, ops: u64, seed: u64) -> Result<Self, InputError> {
        let refuse = |least: u64, what: &str, is: u64| {
            Err(InputError::InvalidArgument(format!(
                "a workload {} has {least} to {KEYS_MAX} {what}, not {is}",
                preset.name()
            )))
        };
        let (keys, value_sizes) = match preset {
            Preset::Etc { keys } if !(1..=KEYS_MAX).contains(&keys) => {
                return refuse(1, "keys", keys);
            }
            Preset::Etc { keys } => {
                let sizes = Sizes::extreme_value(30.7984, 8.20449, 0.078688, ETC_KEY_BYTES);
                let live = LiveKeys::new(keys);
                let values = Sizes::pareto(214.476, 0.348238, ETC_VALUE_BYTES);
                (
                    Keys::Etc {
                        zipf: Zipf::new(keys, YCSB),
                        sizes,
                        live,
                    },
                    values,
                )
            }
            Preset::ZippyDb if ops > KEYS_MAX => return refuse(0, "operations", ops),
            Preset::ZippyDb => {
                let keys = Keys::ZippyDb {
                    inserted: 0,
                    again: Vec::new(),
                    live: Vec::new(),
                    is_live: Vec::new(),
                };
                (keys, Sizes::pareto(25.45, 0.2615, ZIPPYDB_VALUE_BYTES))
            }
        };
        Ok(Self {
            preset,
            ops,
            made: 0,
            seed,
            rng: seeded(seed),
            value_sizes,
            keys,
        })
    }
}

impl Keys {
    /// Returns the next operation: number and name of the key, and `true` for a delete.
    fn next(&mut self, seed: u64, rng: &mut ChaCha8Rng) -> (u64, Bytes, bool) {
        match self {
            Self::Etc { zipf, sizes, live } => {
                let key = zipf.rank(range(rng, zipf.total(live.len())));
                let unlucky = range(rng, DELETE_ONE_IN) == 0;
                let deletes = live.write(key, unlucky);
                // The size of a key depends only on its number.
                let bytes = sizes.at(mix(mix(seed) ^ !key));
                (key, Bytes::from(format!("{key:0bytes$x}")), deletes)
            }
            Self::ZippyDb {
                inserted,
                again,
                live,
                is_live,
            } => {
                let (key, deletes) = if !live.is_empty() && chance(rng, ZIPPYDB_DELETES) {
                    (take(live, rng), true)
                } else if !again.is_empty() && chance(rng, ZIPPYDB_PUT_AGAIN) {
                    (take(again, rng), false)
                } else {
                    is_live.push(false);
                    *inserted += 1;
                    (*inserted - 1, false)
                };
                if !deletes && chance(rng, ZIPPYDB_PUT_AGAIN) {
                    again.push(key);
                }
                if let Some(is_live) = usize::try_from(key)
                    .ok()
                    .and_then(|key| is_live.get_mut(key))
                {
                    if !deletes && !*is_live {
                        live.push(key);
                    }
                    *is_live = !deletes;
                }
                // Neighbours by number are no neighbours by name, like ids that are hashes.
                (
                    key,
                    Bytes::from(format!("zippy:{:016x}:{key:025}", mix(key))),
                    deletes,
                )
            }
        }
    }
}

impl Source for PresetSource {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        if self.made == self.ops {
            return Ok(None);
        }
        self.made += 1;
        let (number, key, deletes) = self.keys.next(self.seed, &mut self.rng);
        let bytes = self.value_sizes.at(self.rng.next_u64());
        let value = (!deletes).then(|| value_of(self.seed, number, self.made, bytes));
        Ok(Some(ChangeBatch {
            label: format!("operation {}", self.made),
            changes: vec![Change { key, value }],
        }))
    }

    fn batches_total(&self) -> Option<u64> {
        Some(self.ops)
    }

    fn describe(&self) -> String {
        format!(
            "{} writes as of {}, seed {}",
            self.ops,
            self.preset.name(),
            self.seed
        )
    }
}

/// Returns `true` with the probability `share` / `of`.
fn chance(rng: &mut ChaCha8Rng, (share, of): (u64, u64)) -> bool {
    range(rng, of) < share
}

/// Takes a random element out.
fn take(from: &mut Vec<u64>, rng: &mut ChaCha8Rng) -> u64 {
    let index = range(rng, from.len() as u64);
    // The index is below the length.
    usize::try_from(index).map_or(0, |index| from.swap_remove(index))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sha2::{Digest, Sha256};

    use super::*;

    fn made(preset: Preset, ops: u64, seed: u64) -> Vec<Change> {
        let mut source = PresetSource::new(preset, ops, seed).expect("valid");
        std::iter::from_fn(|| source.next_batch().expect("generated"))
            .flat_map(|batch| batch.changes)
            .collect()
    }

    const BOTH: [Preset; 2] = [Preset::Etc { keys: 1_000 }, Preset::ZippyDb];

    /// A changed digest means that every recorded seed now gives another run.
    #[test]
    fn seed_gives_the_recorded_run() {
        for (preset, digest) in BOTH.into_iter().zip(DIGESTS) {
            let mut hash = Sha256::new();
            for change in made(preset, 2_000, 7) {
                hash.update(&change.key);
                hash.update(change.value.as_deref().unwrap_or(b"deleted"));
            }
            let found: String = hash
                .finalize()
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(found, digest, "{}", preset.name());
            assert_ne!(made(preset, 100, 1), made(preset, 100, 2));
        }
    }

    const DIGESTS: [&str; 2] = ["8cf8617aafbccb6c", "1c2c6b267a19f298"];

    /// The paper: 73 % of the keys are put once, under 0.001 % over ten times; 6 deletes to 13
    /// puts.
    #[test]
    fn zippydb_puts_most_keys_once() {
        let changes = made(Preset::ZippyDb, 200_000, 1);
        let mut puts = BTreeMap::<&[u8], u32>::new();
        let mut value_bytes = 0;
        for change in &changes {
            assert_eq!(change.key.len(), 48);
            if let Some(value) = &change.value {
                *puts.entry(&change.key).or_default() += 1;
                value_bytes += value.len();
            }
        }
        let total: u32 = puts.values().sum();
        let share = |of: usize, all: usize| of as f64 / all as f64;
        let once = share(puts.values().filter(|&&puts| puts == 1).count(), puts.len());
        assert!((once - 0.73).abs() < 0.01, "{once}");
        assert!(share(puts.values().filter(|&&puts| puts > 10).count(), puts.len()) < 0.000_1);
        let deletes = share(changes.len() - total as usize, changes.len());
        assert!((deletes - 6.0 / 19.0).abs() < 0.01, "{deletes}");
        let mean = value_bytes as f64 / f64::from(total);
        assert!((mean - 34.0).abs() < 1.0, "{mean}");
    }

    #[test]
    fn preset_deletes_only_live_keys() {
        for preset in BOTH {
            let mut live = BTreeMap::<Bytes, bool>::new();
            for change in made(preset, 20_000, 3) {
                let was_live = live
                    .insert(change.key, change.value.is_some())
                    .unwrap_or(false);
                assert!(change.value.is_some() || was_live, "{}", preset.name());
            }
        }
    }

    #[test]
    fn etc_keys_differ_and_keep_their_size() {
        let changes = made(Preset::Etc { keys: 1_000 }, 50_000, 2);
        let keys: std::collections::BTreeSet<_> =
            changes.iter().map(|change| change.key.clone()).collect();
        assert!(keys.len() > 950 && keys.len() <= 1_000, "{}", keys.len());
        let mean = keys.iter().map(|key| key.len() as f64).sum::<f64>() / keys.len() as f64;
        assert!((mean - 36.5).abs() < 1.5, "{mean}");
    }

    #[test]
    fn invalid_preset_is_refused() {
        assert!(PresetSource::new(Preset::Etc { keys: 0 }, 1, 1).is_err());
        assert!(PresetSource::new(Preset::ZippyDb, KEYS_MAX + 1, 1).is_err());
    }
}

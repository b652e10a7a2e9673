//! Generated writes with the key distributions of the YCSB benchmark, in batches of one write.
//!
//! YCSB reads, updates and inserts; here only writes count, so every operation is a write. YCSB
//! never deletes, but tombstones are half of a replication system's work. So one in
//! [`DELETE_ONE_IN`] operations deletes its key, if the key is live.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::choice::KeyChoice;
use super::distribution::{Distribution, range};
use super::live_keys::LiveKeys;
use super::zipf;
use crate::input::error::InputError;
use crate::input::source::{Change, ChangeBatch, Source};

/// Share of deletes: 5 %.
pub(super) const DELETE_ONE_IN: u64 = 20;

/// Largest number of keys, limited by the memory of the skewed distributions: 8 bytes a key.
pub(super) const KEYS_MAX: u64 = 1 << 26;

/// Largest value that the protocol's servers accept.
pub(super) const VALUE_BYTES_MAX: usize = 20 << 20;

impl Distribution {
    /// All distributions, for help texts and completions.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Zipfian, Self::Latest];

    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipfian => "zipfian",
            Self::Latest => "latest",
        }
    }

    /// Returns the distribution with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Source of generated writes.
pub struct GeneratedSource {
    ops: u64,
    value_bytes: usize,
    seed: u64,
    rng: ChaCha8Rng,
    choice: KeyChoice,
    live: LiveKeys,
    /// Number of generated operations.
    made: u64,
}

impl GeneratedSource {
    /// Creates a source of `ops` operations on `keys` keys, with values of `value_bytes` bytes.
    ///
    /// # Errors
    /// [`InputError::InvalidArgument`] without keys, with more than 2^26, or with values of over 20
    /// MiB.
    pub fn new(
        kind: Distribution,
        ops: u64,
        keys: u64,
        value_bytes: usize,
        seed: u64,
    ) -> Result<Self, InputError> {
        if !(1..=KEYS_MAX).contains(&keys) {
            return Err(InputError::InvalidArgument(format!(
                "a generated workload has 1 to {KEYS_MAX} keys, not {keys}"
            )));
        }
        if value_bytes > VALUE_BYTES_MAX {
            return Err(InputError::InvalidArgument(format!(
                "generated values have at most {VALUE_BYTES_MAX} bytes, not {value_bytes}"
            )));
        }
        let choice = KeyChoice::new(kind, ops, keys, zipf::YCSB);
        Ok(Self {
            ops,
            value_bytes,
            seed,
            rng: seeded(seed),
            choice,
            live: LiveKeys::new(keys),
            made: 0,
        })
    }
}

impl Source for GeneratedSource {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        if self.made == self.ops {
            return Ok(None);
        }
        let (key, inserts) = self.choice.next(&mut self.rng);
        self.made += 1;
        let unlucky = range(&mut self.rng, DELETE_ONE_IN) == 0;
        let deletes = self.live.write(key, unlucky && !inserts);
        let value = (!deletes).then(|| value_of(self.seed, key, self.made, self.value_bytes));
        let change = Change {
            key: Bytes::from(format!("user{key:012}")),
            value,
        };
        Ok(Some(ChangeBatch {
            label: format!("operation {}", self.made),
            changes: vec![change],
        }))
    }

    fn batches_total(&self) -> Option<u64> {
        Some(self.ops)
    }

    fn describe(&self) -> String {
        format!(
            "{} writes to {} keys ({}), values of {} bytes, seed {}",
            self.ops,
            self.live.len(),
            self.choice.kind().name(),
            self.value_bytes,
            self.seed
        )
    }
}

/// Returns the random generator of a seed.
pub(super) fn seeded(seed: u64) -> ChaCha8Rng {
    // The expansion of `seed_from_u64` may change with the library.
    let mut bytes = [0; 32];
    for (slot, byte) in bytes.iter_mut().zip(seed.to_be_bytes()) {
        *slot = byte;
    }
    ChaCha8Rng::from_seed(bytes)
}

/// Returns the value of an operation: printable, so dumps show it as text, with 6 random bits per
/// byte.
pub(super) fn value_of(seed: u64, key: u64, op: u64, bytes: usize) -> Bytes {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = mix(mix(mix(seed) ^ key) ^ op);
    let mut value = Vec::with_capacity(bytes);
    while value.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = mix(state);
        for _ in 0..10.min(bytes - value.len()) {
            value.push(LETTERS.get((bits & 63) as usize).copied().unwrap_or(b'.'));
            bits >>= 6;
        }
    }
    Bytes::from(value)
}

/// Output function of SplitMix64: every input bit affects every output bit.
pub(super) const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

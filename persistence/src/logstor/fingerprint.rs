//! The name under which the index knows a key: name space and key go in, 128 keyed bits come out.
//!
//! Two keys with one fingerprint would take each other's place; without the store's key nobody can make such a pair, and
//! by chance there is one in 2^64 keys. A read compares the whole key all the same, and tells of it.

use std::hash::Hasher;

use lowtide_checkpoint::Namespace;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Fingerprint([u64; 2]);

impl Fingerprint {
    pub(super) fn of(hash_key: [u64; 2], namespace: Namespace, key: &[u8]) -> Self {
        let [first, second] = hash_key;
        let mut hasher = SipHasher13::new_with_keys(first, second);
        hasher.write(key);
        hasher.write_u8(namespace as u8);
        let hash = hasher.finish128();
        Self([hash.h1, hash.h2])
    }

    /// Its place in a hash table.
    pub(super) const fn hash(self) -> u64 {
        let [first, _] = self.0;
        first
    }

    /// The first so many bits, at most 63, as a number that rises with fingerprints.
    pub(super) const fn first_bits(self, bits: u32) -> usize {
        let [first, _] = self.0;
        // Of none there is only 0.
        (first >> 1 >> (63 - bits)) as usize
    }

    pub(super) const MIN: Self = Self([0; 2]);

    /// As it is stored.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let [first, second] = self.0;
        (u128::from(first) << 64 | u128::from(second)).to_be_bytes()
    }

    /// What [`Fingerprint::to_bytes`] gave.
    pub(super) const fn from_bytes(bytes: &[u8; 16]) -> Self {
        let both = u128::from_be_bytes(*bytes);
        Self([(both >> 64) as u64, both as u64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_name_space_and_secret_all_count() {
        let of = |secret, namespace, key: &[u8]| Fingerprint::of([secret, 0], namespace, key);
        let all = [
            of(1, Namespace::Committed, b"a"),
            of(1, Namespace::Prepared, b"a"),
            of(1, Namespace::System, b"a"),
            of(1, Namespace::Committed, b"b"),
            of(1, Namespace::Committed, b""),
            of(2, Namespace::Committed, b"a"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
        assert_eq!(
            of(1, Namespace::System, b"a"),
            of(1, Namespace::System, b"a")
        );
    }
}

//! The fingerprint of a key: 128 keyed bits of its name space and bytes, by which the index knows
//! it.
//!
//! Two keys with one fingerprint would replace each other. Without the store's hash key no such
//! pair can be crafted, and by chance there is one in 2^64 keys. A read compares the whole key all
//! the same, and reports a collision.

use crate::logstor::hash_key::HashKey;
use std::hash::Hasher;

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Namespace, Operation};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::logstor) struct Fingerprint([u64; 2]);

impl Fingerprint {
    pub(in crate::logstor) fn of(hash_key: HashKey, namespace: Namespace, key: &[u8]) -> Self {
        let [first, second] = hash_key.numbers();
        let mut hasher = SipHasher13::new_with_keys(first, second);
        hasher.write(key);
        hasher.write_u8(namespace as u8);
        let hash = hasher.finish128();
        Self([hash.h1, hash.h2])
    }

    /// Same as [`Fingerprint::of`], for the key of a record with that operation.
    #[inline]
    pub(in crate::logstor) fn of_record(
        hash_key: HashKey,
        operation: Operation,
        key: &[u8],
    ) -> Self {
        // The name space of all that is no document: such a record replaces no document.
        let namespace = operation
            .namespace()
            .expected("L3", "the operation of a record has a name space")
            .unwrap_or(Namespace::System);
        Self::of(hash_key, namespace, key)
    }

    /// Returns the hash for a hash table.
    pub(in crate::logstor) const fn hash(self) -> u64 {
        let [first, _] = self.0;
        first
    }

    /// Returns the first `bits` bits, at most 63, as a number that rises with fingerprints.
    pub(in crate::logstor) const fn first_bits(self, bits: u32) -> usize {
        let [first, _] = self.0;
        // In two shifts, because a shift by 64 would overflow.
        (first >> 1 >> (63 - bits)) as usize
    }

    pub(in crate::logstor) const MIN: Self = Self([0; 2]);

    /// Returns its stored form.
    pub(in crate::logstor) fn to_bytes(self) -> [u8; 16] {
        let [first, second] = self.0;
        (u128::from(first) << 64 | u128::from(second)).to_be_bytes()
    }

    /// The reverse of [`Fingerprint::to_bytes`].
    pub(in crate::logstor) const fn from_bytes(bytes: &[u8; 16]) -> Self {
        let both = u128::from_be_bytes(*bytes);
        Self([(both >> 64) as u64, both as u64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_name_space_and_secret_all_count() {
        let of = |secret, namespace, key: &[u8]| {
            Fingerprint::of(HashKey::new([secret, 0]), namespace, key)
        };
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

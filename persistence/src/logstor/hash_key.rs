//! The secret key of a store's hashes and checksums.
//!
//! # Invariants
//!
//! It is never printed: who knows it can craft keys that collide, and frames that pass for others.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A store's hash key. `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKey([u64; 2]);

impl HashKey {
    /// Creates a key from random numbers.
    #[must_use]
    pub const fn new(key: [u64; 2]) -> Self {
        Self(key)
    }

    /// Returns its two numbers.
    #[inline]
    pub(super) const fn numbers(self) -> [u64; 2] {
        self.0
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::HashKey;

    #[test]
    fn hash_key_is_not_printed() {
        let printed = format!("{:?}", HashKey::new([0x1234, 0x5678]));
        assert_eq!(printed, "HashKey(..)");
    }
}

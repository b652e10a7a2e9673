//! A filter of keys: a few bits a key, which tell that a key has certainly no document.
//!
//! It is a split block Bloom filter, as Apache Parquet specifies it: a key has one bit in each of
//! the eight words of one block, so a lookup touches one cache line. The crates for Bloom filters
//! bring random seeds and dependencies. This one is a multiplication and a mask, and uses the hash
//! that the table of entries has.
//!
//! # Invariants
//! - Every key that was added may be contained (D6).

/// Words of a block. Each has one bit of a key.
const WORDS: usize = 8;
/// Bits of a block.
const BLOCK_BITS: usize = WORDS * u32::BITS as usize;
/// Bits for an expected key: then one of 180 absent keys passes, and one of 10 when twice as many
/// keys were added.
const KEY_BITS: usize = 12;
/// Odd numbers that spread a hash over the words, as the specification has them.
const SALTS: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

#[derive(Clone, Debug)]
pub(super) struct KeyFilter {
    /// At least one.
    blocks: Vec<[u32; WORDS]>,
    expected: usize,
    /// Number of keys that changed a bit when they were added.
    added: usize,
}

impl KeyFilter {
    pub(super) fn new(expected: usize) -> Self {
        let blocks = expected.saturating_mul(KEY_BITS).div_ceil(BLOCK_BITS);
        Self {
            blocks: vec![[0; WORDS]; blocks.max(1)],
            expected,
            added: 0,
        }
    }

    /// Adds the key with that hash.
    pub(super) fn add(&mut self, hash: u64) {
        let at = self.block(hash);
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        let mut is_new = false;
        for (word, bit) in block.iter_mut().zip(bits(hash)) {
            is_new |= *word & bit == 0;
            *word |= bit;
        }
        self.added += usize::from(is_new);
    }

    /// Returns `false` if no key with that hash was added.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let block = self.blocks.get(self.block(hash));
        block.is_none_or(|block| {
            let words = block.iter().zip(bits(hash));
            words.fold(true, |is_set, (word, bit)| is_set & (word & bit != 0))
        })
    }

    /// Returns whether more than twice the expected keys were added: a larger filter would answer
    /// better.
    pub(super) fn is_overfull(&self) -> bool {
        self.added > self.expected.saturating_mul(2)
    }

    /// Returns about how many keys were added.
    pub(super) fn added(&self) -> usize {
        self.added
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<[u32; WORDS]>()
    }

    /// Returns the block of a hash, by the high half of the hash.
    fn block(&self, hash: u64) -> usize {
        let blocks = self.blocks.len() as u64;
        (((hash >> 32) * blocks) >> 32) as usize
    }
}

/// Returns the bit of each word, by the low half of the hash.
fn bits(hash: u64) -> [u32; WORDS] {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::FixedState;

    use super::*;

    fn hashes(range: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
        range.map(|number| FixedState::default().hash_one(number))
    }

    /// Guards D6.
    #[test]
    fn added_key_may_be_contained() {
        for expected in [0, 1, 10, 5000] {
            let mut filter = KeyFilter::new(expected);
            hashes(0..5000).for_each(|hash| filter.add(hash));
            assert!(hashes(0..5000).all(|hash| filter.may_contain(hash)));
        }
    }

    #[test]
    fn absent_key_passes_rarely() {
        let mut filter = KeyFilter::new(20_000);
        hashes(0..20_000).for_each(|hash| filter.add(hash));
        let passed = |filter: &KeyFilter| {
            hashes(50_000..150_000)
                .filter(|&hash| filter.may_contain(hash))
                .count()
        };
        assert!(!filter.is_overfull());
        assert!(passed(&filter) < 1000, "{} of 100000", passed(&filter));
        hashes(20_000..40_000).for_each(|hash| filter.add(hash));
        assert!(passed(&filter) < 12_000, "{} of 100000", passed(&filter));
        hashes(40_000..50_000).for_each(|hash| filter.add(hash));
        assert!(filter.is_overfull());
    }

    #[test]
    fn filter_without_keys_contains_nothing() {
        let filter = KeyFilter::new(0);
        assert!(hashes(0..1000).all(|hash| !filter.may_contain(hash)));
    }
}

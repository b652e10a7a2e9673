//! The digest of an index: its rows summed up in an order that does not matter.

use std::hash::{DefaultHasher, Hasher};

use crate::couchstore::format::{DocInfo, by_id};

/// The sum of an index's rows: two 64-bit hashes of each. Indexes with different rows have the same
/// sum only by a chance of 1 in 2^128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) rows: u64,
    sums: [u64; 2],
}

impl Digest {
    pub(crate) fn add(&mut self, info: &DocInfo) {
        let row = by_id::encode(info);
        self.rows = self.rows.saturating_add(1);
        for (salt, sum) in (0..).zip(&mut self.sums) {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            hasher.write_usize(info.id.len());
            hasher.write(&info.id);
            hasher.write(&row);
            *sum = sum.wrapping_add(hasher.finish());
        }
    }
}

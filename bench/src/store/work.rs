//! The writes of a run: pseudo-random keys and values, the same in every run.

use bytes::Bytes;

use crate::engines::{Key, VALUE_BYTES, Write};
use crate::race::{Zipf, scramble};

/// Writer of items, one commit after the other, with ascending seqnos from 1.
pub struct Work {
    items: u64,
    /// Number of items so far.
    written: u64,
}

impl Work {
    pub const fn new(items: u64) -> Self {
        Self { items, written: 0 }
    }

    /// Continues after a store's highest seqno.
    pub const fn after(items: u64, high: u64) -> Self {
        Self {
            items,
            written: high,
        }
    }

    /// Returns the next commit of `items` items: first each key once, then overwrites of all keys,
    /// in another random order each round.
    pub fn next(&mut self, items: u64) -> Vec<Write> {
        let numbers = self.written + 1..self.written + 1 + items;
        self.written += items;
        numbers
            .map(|seqno| Write {
                seqno,
                key: self.key(seqno),
                value: value(seqno),
            })
            .collect()
    }

    /// Returns `count` random keys that have all been written.
    pub fn present(&self, count: u64) -> Vec<Key> {
        (0..count).map(|n| key(scramble(n) % self.items)).collect()
    }

    /// Same as [`Work::present`], by Zipf's distribution: the most frequent keys are spread over
    /// all keys.
    pub fn present_by_zipf(&self, count: u64) -> Vec<Key> {
        let zipf = Zipf::new(self.items as usize);
        (0..count)
            .map(|n| key(scramble(zipf.key(n)) % self.items))
            .collect()
    }

    fn key(&self, seqno: u64) -> Key {
        let (round, n) = ((seqno - 1) / self.items, (seqno - 1) % self.items);
        // The first round has the keys' own order, which is random.
        key(if round == 0 {
            n
        } else {
            shuffled(n, round, self.items)
        })
    }
}

/// Returns a number below `items` for each of them, another one in every round. It is a Feistel
/// network over the next power of four, repeated until the result is below `items`. So items that
/// are overwritten together were never written together.
fn shuffled(n: u64, round: u64, items: u64) -> u64 {
    let half = (u64::BITS - items.leading_zeros()).div_ceil(2);
    let mask = (1 << half) - 1;
    let mut at = n;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for stage in 0..4 {
            (left, right) = (
                right,
                left ^ scramble(right << 32 | round << 8 | stage) & mask,
            );
        }
        at = left << half | right;
        if at < items {
            return at;
        }
    }
}

/// Returns the key of a number.
pub fn key(n: u64) -> Key {
    format!("key:{:016x}", scramble(n))
        .into_bytes()
        .try_into()
        .expect("20 bytes")
}

/// Returns the pseudo-random value of a number.
pub fn value(seqno: u64) -> Bytes {
    let words = (0..VALUE_BYTES as u64 / 8).map(|n| scramble(seqno << 8 | n).to_be_bytes());
    Bytes::from(words.flatten().collect::<Vec<u8>>())
}

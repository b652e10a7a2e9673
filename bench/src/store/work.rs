//! What is written: keys and values that look like chance and are the same in every run.

use bytes::Bytes;

use crate::engines::{Key, VALUE_BYTES, Write};
use crate::race::scramble;

/// A prime, so that a walk in steps of it meets every key once.
const STEP: u64 = 7_368_787;

/// Writes items one commit after the other, seqnos ascending from 1.
pub struct Work {
    items: u64,
    /// Items so far.
    written: u64,
}

impl Work {
    pub const fn new(items: u64) -> Self {
        Self { items, written: 0 }
    }

    /// The next commit of so many items: first each key once, then overwrites of all keys in another random order.
    pub fn next(&mut self, items: u64) -> Vec<Write> {
        let numbers = self.written + 1..self.written + 1 + items;
        self.written += items;
        numbers.map(|seqno| Write { seqno, key: self.key(seqno), value: value(seqno) }).collect()
    }

    /// Keys that have all been written, at random.
    pub fn present(&self, count: u64) -> Vec<Key> {
        (0..count).map(|n| key(scramble(n) % self.items)).collect()
    }

    fn key(&self, seqno: u64) -> Key {
        let (round, n) = ((seqno - 1) / self.items, (seqno - 1) % self.items);
        // The order of the first round is the keys' own, which is random.
        key(if round == 0 { n } else { (n * STEP + round) % self.items })
    }
}

fn key(n: u64) -> Key {
    format!("key:{:016x}", scramble(n)).into_bytes().try_into().expect("20 bytes")
}

fn value(seqno: u64) -> Bytes {
    let words = (0..VALUE_BYTES as u64 / 8).map(|n| scramble(seqno << 8 | n).to_be_bytes());
    Bytes::from(words.flatten().collect::<Vec<u8>>())
}

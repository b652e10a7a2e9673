//! The peers, each moving the same items: 20 bytes of key, 256 of value, allocated for each item.

use std::time::Duration;

mod channels;
mod lowtide;
mod rings;
mod shared;

pub use lowtide::{item, new_item};

/// Number of slots of a bounded peer.
pub const CAPACITY: usize = 65_536;

/// Work of one run.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub producers: u64,
    pub consumers: u64,
    pub batch: usize,
    pub items: u64,
    /// Number of distinct keys, drawn by Zipf; with `None` every key is new.
    pub keys: Option<usize>,
}

impl Work {
    /// Returns the numbers of the items that a producer makes.
    pub fn share(&self, producer: u64) -> std::ops::Range<u64> {
        let each = self.items / self.producers;
        producer * each..if producer + 1 == self.producers {
            self.items
        } else {
            (producer + 1) * each
        }
    }
}

/// Item of a peer that has no keys of its own.
pub struct Plain {
    pub seqno: u64,
    pub key: [u8; 20],
    pub value: [u8; 256],
}

impl Plain {
    pub fn new(seqno: u64) -> std::sync::Arc<Self> {
        let mut key = [b'k'; 20];
        key[..8].copy_from_slice(&seqno.to_be_bytes());
        std::sync::Arc::new(Self {
            seqno,
            key,
            value: [seqno as u8; 256],
        })
    }

    /// Reads the item as a consumer would.
    pub fn touch(&self) -> u64 {
        self.seqno ^ u64::from(self.key[19]) ^ u64::from(self.value[255])
    }
}

pub type Run = fn(&Work) -> Duration;

pub const ALL: [(&str, Run); 8] = [
    ("lowtide", lowtide::run),
    ("crossbeam", channels::crossbeam),
    ("kanal", channels::kanal),
    ("tokio-broadcast", channels::tokio),
    ("bus", rings::bus),
    ("disruptor", rings::disruptor),
    ("mutex-vecdeque", shared::mutex_vecdeque),
    ("crossbeam-unbounded", channels::crossbeam_unbounded),
];

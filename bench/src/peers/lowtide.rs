//! Lowtide: one manager, and a subscription for each consumer, which waits if there is nothing to
//! read.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointManager, Item, Key, ReadLimit, Seqno, SubscriptionEvent,
};

use super::{CAPACITY, Work};
use crate::race::{Part, Zipf, race};

/// Number of items between two checks whether the slowest consumer is too far behind; each may
/// expel.
const LOOK_EVERY: u64 = 256;
/// Number of times that a consumer yields before it sleeps.
const YIELDS: u32 = 16;
const LIMIT: ReadLimit = ReadLimit::NONE.with_items(256).with_bytes(usize::MAX);

pub fn item(key: u64, n: u64) -> Item {
    let mut bytes = [b'k'; 20];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    Item::mutation(Key::new(&bytes), Bytes::from(vec![n as u8; 256]))
}

pub fn new_item(n: u64) -> Item {
    item(n, n)
}

pub fn run(work: &Work) -> Duration {
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    // Drawn outside the measured time, because the peers draw no keys.
    let zipf = work.keys.map(Zipf::new);
    let drawn: Option<Vec<u64>> = zipf.map(|zipf| (0..work.items).map(|n| zipf.key(n)).collect());
    let make = |n: u64| item(drawn.as_ref().map_or(n, |drawn| drawn[n as usize]), n);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for consumer in 0..work.consumers {
        let mut subscription = manager
            .subscribe(&format!("consumer {consumer}"), Seqno::ZERO)
            .expect("valid");
        parts.push(Box::new(move || {
            let mut idle = 0;
            while subscription.seqno().0 < work.items {
                // Same as the channels: poll a few times before sleeping.
                let next = if idle < YIELDS {
                    subscription.poll(LIMIT)
                } else {
                    subscription.wait(LIMIT)
                };
                let batch = match next.expect("registered") {
                    SubscriptionEvent::Batch(batch) => batch,
                    SubscriptionEvent::Idle => {
                        idle += 1;
                        std::thread::yield_now();
                        continue;
                    }
                    other => panic!("no gaps: {other:?}"),
                };
                idle = 0;
                for item in batch.items() {
                    let value = item.value.as_ref().map_or(0, |value| value[255]);
                    black_box(item.seqno.0 ^ u64::from(value) ^ u64::from(item.key.encoded()[20]));
                }
            }
        }));
    }
    for producer in 0..work.producers {
        let manager = &manager;
        let make = &make;
        parts.push(Box::new(move || {
            let mut queued = Vec::with_capacity(work.batch);
            let mut since = 0;
            let mut numbers = work.share(producer);
            while !numbers.is_empty() {
                let end = numbers.end.min(numbers.start + work.batch as u64);
                if work.batch == 1 {
                    manager.queue(make(numbers.start)).expect("active");
                } else {
                    let batch: Vec<_> = (numbers.start..end).map(make).collect();
                    queued.clear();
                    manager.queue_all(batch, &mut queued).expect("active");
                }
                since += end - numbers.start;
                numbers.start = end;
                if since >= LOOK_EVERY {
                    since = 0;
                    manager.expel();
                    while manager.stats().items > CAPACITY {
                        std::thread::yield_now();
                        manager.expel();
                    }
                }
            }
        }));
    }
    race(parts)
}

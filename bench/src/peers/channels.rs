//! Channels: one for each consumer, or one that broadcasts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use super::{CAPACITY, Plain, Work};
use crate::race::{Part, race};

/// Number of items that a consumer takes at once, where the API allows it.
const TAKE: usize = 256;

pub fn crossbeam(work: &Work) -> Duration {
    fan_out(work, || crossbeam_channel::bounded(CAPACITY))
}

pub fn crossbeam_unbounded(work: &Work) -> Duration {
    fan_out(work, crossbeam_channel::unbounded)
}

type Channel = (
    crossbeam_channel::Sender<Arc<Plain>>,
    crossbeam_channel::Receiver<Arc<Plain>>,
);

fn fan_out(work: &Work, channel: impl Fn() -> Channel) -> Duration {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..work.consumers).map(|_| channel()).unzip();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for receiver in receivers {
        parts.push(Box::new(move || {
            for _ in 0..work.items {
                black_box(receiver.recv().expect("its senders live").touch());
            }
        }));
    }
    for producer in 0..work.producers {
        let senders = senders.clone();
        parts.push(Box::new(move || {
            for n in work.share(producer) {
                let item = Plain::new(n);
                for sender in &senders {
                    sender.send(Arc::clone(&item)).expect("its receiver lives");
                }
            }
        }));
    }
    race(parts)
}

pub fn kanal(work: &Work) -> Duration {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..work.consumers)
        .map(|_| kanal::bounded(CAPACITY))
        .unzip();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for receiver in receivers {
        parts.push(Box::new(move || {
            let mut taken = 0;
            let mut items = Vec::with_capacity(TAKE);
            while taken < work.items {
                let item: Arc<Plain> = receiver.recv().expect("its senders live");
                black_box(item.touch());
                taken += 1;
                if work.batch > 1 {
                    taken += receiver.drain_into(&mut items).expect("its senders live") as u64;
                    items.drain(..).for_each(|item: Arc<Plain>| {
                        black_box(item.touch());
                    });
                }
            }
        }));
    }
    for producer in 0..work.producers {
        let senders = senders.clone();
        parts.push(Box::new(move || {
            for n in work.share(producer) {
                let item = Plain::new(n);
                for sender in &senders {
                    sender.send(Arc::clone(&item)).expect("its receiver lives");
                }
            }
        }));
    }
    // Their count must not keep the channels open.
    drop(senders);
    race(parts)
}

pub fn tokio(work: &Work) -> Duration {
    let (sender, _) = tokio::sync::broadcast::channel(CAPACITY);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for _ in 0..work.consumers {
        let mut receiver = sender.subscribe();
        parts.push(Box::new(move || {
            for _ in 0..work.items {
                let item: Arc<Plain> = receiver.blocking_recv().expect("nothing is overwritten");
                black_box(item.touch());
            }
        }));
    }
    for producer in 0..work.producers {
        let sender = sender.clone();
        parts.push(Box::new(move || {
            for (since, n) in work.share(producer).enumerate() {
                // Otherwise the sender would overwrite items that the slowest consumer has not
                // read.
                while since % 64 == 0 && sender.len() > CAPACITY - 256 {
                    std::thread::yield_now();
                }
                assert!(sender.send(Plain::new(n)).is_ok());
            }
        }));
    }
    drop(sender);
    race(parts)
}

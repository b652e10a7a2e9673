//! Rings that every consumer reads.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use disruptor::{BusySpin, Polling, Producer};
use parking_lot::Mutex;

use super::{CAPACITY, Plain, Work};
use crate::race::{Part, race};

pub fn bus(work: &Work) -> Duration {
    let mut ring = bus::Bus::new(CAPACITY);
    let readers: Vec<_> = (0..work.consumers).map(|_| ring.add_rx()).collect();
    // The ring has one producer, so several threads share it.
    let ring = Mutex::new(ring);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for mut reader in readers {
        parts.push(Box::new(move || {
            for _ in 0..work.items {
                let item: Arc<Plain> = reader.recv().expect("the bus lives");
                black_box(item.touch());
            }
        }));
    }
    for producer in 0..work.producers {
        let ring = &ring;
        parts.push(Box::new(move || {
            let mut numbers = work.share(producer);
            while !numbers.is_empty() {
                let end = numbers.end.min(numbers.start + work.batch as u64);
                let items: Vec<_> = (numbers.start..end).map(Plain::new).collect();
                let mut ring = ring.lock();
                items.into_iter().for_each(|item| ring.broadcast(item));
                numbers.start = end;
            }
        }));
    }
    race(parts)
}

type Slot = Option<Arc<Plain>>;

fn produce(producer: &mut impl Producer<Slot>, work: &Work, number: u64) {
    let mut numbers = work.share(number);
    while !numbers.is_empty() {
        let end = numbers.end.min(numbers.start + work.batch as u64);
        let mut items: Vec<_> = (numbers.start..end).map(Plain::new).collect();
        while !items.is_empty() {
            let published = if work.batch == 1 {
                let item = items.last().cloned();
                producer.try_publish(|slot| *slot = item).is_ok()
            } else {
                let next = items.clone();
                producer
                    .try_batch_publish(items.len(), |slots| {
                        slots.zip(next).for_each(|(slot, item)| *slot = Some(item))
                    })
                    .is_ok()
            };
            if published {
                items.clear()
            } else {
                std::thread::yield_now()
            }
        }
        numbers.start = end;
    }
}

/// Polls and yields, as the ring's documentation shows. The poller's barrier has no public name.
macro_rules! consume {
    ($poller:expr, $work:expr) => {{
        let mut poller = $poller;
        let work = $work;
        Box::new(move || {
            let mut seen = 0;
            while seen < work.items {
                match poller.take(256) {
                    Ok(mut events) => {
                        for slot in &mut events {
                            black_box(slot.as_ref().map_or(0, |item| item.touch()));
                            seen += 1;
                        }
                    }
                    Err(Polling::NoEvents) => std::thread::yield_now(),
                    Err(Polling::Shutdown) => break,
                }
            }
        }) as Part<'_>
    }};
}

/// Runs once on a ring that `$build` makes; the builder's type changes with its first two pollers.
/// `$producers` makes the producers from the ring's one.
macro_rules! run_ring {
    ($build:path, $work:expr, $producers:expr) => {{
        let work = $work;
        let (first, builder) = $build(CAPACITY, || None as Slot, BusySpin).new_event_poller();
        let mut parts: Vec<Part<'_>> = vec![consume!(first, work)];
        if work.consumers == 1 {
            parts.extend($producers(builder.build(), work));
            return race(parts);
        }
        let (second, mut builder) = builder.new_event_poller();
        parts.push(consume!(second, work));
        for _ in 2..work.consumers {
            let (poller, next) = builder.new_event_poller();
            parts.push(consume!(poller, work));
            builder = next;
        }
        parts.extend($producers(builder.build(), work));
        race(parts)
    }};
}

fn one_producer<'a>(
    mut producer: impl Producer<Slot> + Send + 'a,
    work: &'a Work,
) -> Vec<Part<'a>> {
    vec![Box::new(move || produce(&mut producer, work, 0))]
}

fn several_producers<'a>(
    producer: impl Producer<Slot> + Clone + Send + 'a,
    work: &'a Work,
) -> Vec<Part<'a>> {
    let part = |number| {
        let mut producer = producer.clone();
        Box::new(move || produce(&mut producer, work, number)) as Part<'a>
    };
    (0..work.producers).map(part).collect()
}

pub fn disruptor(work: &Work) -> Duration {
    if work.producers == 1 {
        single(work)
    } else {
        multi(work)
    }
}

fn single(work: &Work) -> Duration {
    run_ring!(disruptor::build_single_producer, work, one_producer)
}

fn multi(work: &Work) -> Duration {
    run_ring!(disruptor::build_multi_producer, work, several_producers)
}

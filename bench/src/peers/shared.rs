//! The obvious first design: a deque behind a mutex, with a cursor for each consumer.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{CAPACITY, Plain, Work};
use crate::race::{Part, race};

#[derive(Default)]
struct Queue {
    items: VecDeque<Arc<Plain>>,
    /// Number of the first item.
    first: u64,
    cursors: Vec<u64>,
}

pub fn mutex_vecdeque(work: &Work) -> Duration {
    let queue = Mutex::new(Queue {
        cursors: vec![0; work.consumers as usize],
        ..Queue::default()
    });
    let filled = Condvar::new();
    let emptied = Condvar::new();
    let take = if work.batch == 1 { 1 } else { 256 };
    let mut parts: Vec<Part<'_>> = Vec::new();
    for consumer in 0..work.consumers as usize {
        let queue = &queue;
        let filled = &filled;
        let emptied = &emptied;
        parts.push(Box::new(move || {
            let mut taken = Vec::with_capacity(take);
            let mut seen = 0;
            while seen < work.items {
                let mut inside = queue.lock();
                let from = loop {
                    let from = (inside.cursors[consumer] - inside.first) as usize;
                    if from < inside.items.len() {
                        break from;
                    }
                    filled.wait(&mut inside);
                };
                taken.extend(inside.items.iter().skip(from).take(take).cloned());
                inside.cursors[consumer] += taken.len() as u64;
                let lowest = inside.cursors.iter().copied().min().unwrap_or(0);
                let gone = (lowest - inside.first) as usize;
                let gone: Vec<_> = inside.items.drain(..gone).collect();
                inside.first = lowest;
                drop(inside);
                if !gone.is_empty() {
                    emptied.notify_all();
                }
                seen += taken.len() as u64;
                taken.drain(..).for_each(|item| {
                    black_box(item.touch());
                });
            }
        }));
    }
    for producer in 0..work.producers {
        let queue = &queue;
        let filled = &filled;
        let emptied = &emptied;
        parts.push(Box::new(move || {
            let mut numbers = work.share(producer);
            while !numbers.is_empty() {
                let end = numbers.end.min(numbers.start + work.batch as u64);
                let items: Vec<_> = (numbers.start..end).map(Plain::new).collect();
                numbers.start = end;
                let mut inside = queue.lock();
                while inside.items.len() >= CAPACITY {
                    emptied.wait(&mut inside);
                }
                inside.items.extend(items);
                drop(inside);
                filled.notify_all();
            }
        }));
    }
    race(parts)
}

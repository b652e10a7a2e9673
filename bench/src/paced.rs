//! Latency of queueing at a steady rate while consumers sleep between items.
//!
//! A call that finds a sleeping consumer wakes it, which is a system call for each; those calls
//! have a row of their own. The peer is a channel for each consumer, whose call is a send to each.

use std::time::{Duration, Instant};

use clap::Args;
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointManager, ReadLimit, Seqno, SubscriptionEvent,
};

use crate::peers::{Plain, new_item};
use crate::race::{Part, race};
use crate::table::Table;

const CONSUMERS: usize = 3;

#[derive(Args)]
pub struct Arguments {
    /// Items a second.
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// Items in all.
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// Nanoseconds of each call.
type Latencies = Vec<u64>;

pub fn run(arguments: &Arguments) {
    let title = format!(
        "nanoseconds of a call, {} a second, {CONSUMERS} consumers that sleep, median of {}",
        arguments.rate, arguments.runs
    );
    let columns = ["calls", "p50", "p99", "p99.9", "max"]
        .map(str::to_owned)
        .to_vec();
    let mut table = Table::new(&title, columns);
    let mut calm = Vec::new();
    let mut waking = Vec::new();
    let mut sent = Vec::new();
    for _ in 0..arguments.runs {
        let (quiet, loud) = lowtide(arguments);
        calm.push(figures(quiet));
        waking.push(figures(loud));
        sent.push(figures(crossbeam(arguments)));
    }
    table.row("lowtide, nobody to wake", medians(calm));
    table.row("lowtide, waking somebody", medians(waking));
    table.row("crossbeam, three sends", medians(sent));
    table.print();
}

/// Runs `call` for each of `items` items when it is due, `rate` a second.
pub fn paced(rate: u64, items: u64, mut call: impl FnMut(u64)) {
    let period =
        Duration::from_secs(1) / u32::try_from(rate).expect("a rate of up to 4,000 million");
    let started = Instant::now();
    for n in 0..items {
        let due = started + period * u32::try_from(n).expect("as many items");
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        call(n);
    }
}

/// Returns the latencies of the calls that woke no consumer, and of those that woke one.
fn lowtide(arguments: &Arguments) -> (Latencies, Latencies) {
    let mut quiet = Vec::new();
    let mut loud = Vec::new();
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for consumer in 0..CONSUMERS {
        let mut subscription = manager
            .subscribe(&format!("{consumer}"), Seqno::ZERO)
            .expect("valid");
        parts.push(Box::new(move || {
            while subscription.seqno().0 < arguments.items {
                let next = subscription.wait(ReadLimit::NONE).expect("registered");
                let SubscriptionEvent::Batch(batch) = next else {
                    panic!("no gaps: {next:?}")
                };
                std::hint::black_box(batch.items().count());
            }
        }));
    }
    let producer = &manager;
    let calm = &mut quiet;
    let waking = &mut loud;
    parts.push(Box::new(move || {
        let mut woken = 0;
        paced(arguments.rate, arguments.items, |n| {
            let item = new_item(n);
            let started = Instant::now();
            producer.queue(item).expect("active");
            let took = started.elapsed();
            let now = producer.stats().wake_ups;
            let latencies = if now == woken {
                &mut *calm
            } else {
                &mut *waking
            };
            latencies.push(took.as_nanos() as u64);
            woken = now;
            if n % 256 == 0 {
                producer.expel();
            }
        });
    }));
    race(parts);
    (quiet, loud)
}

fn crossbeam(arguments: &Arguments) -> Latencies {
    let mut latencies = Vec::new();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..CONSUMERS)
        .map(|_| crossbeam_channel::unbounded::<std::sync::Arc<Plain>>())
        .unzip();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for receiver in receivers {
        parts.push(Box::new(move || {
            for _ in 0..arguments.items {
                std::hint::black_box(receiver.recv().expect("its sender lives").touch());
            }
        }));
    }
    let all = &mut latencies;
    parts.push(Box::new(move || {
        paced(arguments.rate, arguments.items, |n| {
            let item = Plain::new(n);
            let started = Instant::now();
            for sender in &senders {
                sender.send(item.clone()).expect("its receiver lives");
            }
            let took = started.elapsed();
            all.push(took.as_nanos() as u64);
        });
    }));
    race(parts);
    latencies
}

/// Returns the count, p50, p99, p99.9 and the maximum.
fn figures(mut latencies: Latencies) -> Vec<f64> {
    latencies.sort_unstable();
    let at = |permille: usize| {
        let place = (latencies.len() * permille / 1_000).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(f64::NAN, |&nanos| nanos as f64)
    };
    vec![latencies.len() as f64, at(500), at(990), at(999), at(1_000)]
}

/// Returns each column's median over the runs.
fn medians(runs: Vec<Vec<f64>>) -> Vec<f64> {
    let columns = runs.first().map_or(0, Vec::len);
    let median = |column: usize| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[column]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (0..columns).map(median).collect()
}

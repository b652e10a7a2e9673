//! Storage engines compared: one life of a store for each engine and run, and the median of each
//! figure.
//!
//! A life has these steps:
//!
//! - every key is written once, then overwritten in random order five times, in commits of 1,000;
//! - everything is scanned by seqno, and random keys are got;
//! - items are committed one by one and by the hundred;
//! - another process is killed while it writes.
//!
//! Only commits are timed, not the making of items. Engines take turns within a run, so that a
//! disturbance affects all of them.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use crate::engines::{self, KEY_BYTES, Store, VALUE_BYTES, With};
use crate::table::Table;

pub mod beside;
pub mod cold;
pub mod compacting;
pub mod many;
pub mod reopen;
pub mod storage;
pub mod work;

use storage::Written;
use work::Work;

/// Items in a large commit.
const BATCH: u64 = 1_000;
/// Items in a middling commit.
const MIDDLING: u64 = 100;
/// Number of times that every key is overwritten.
const ROUNDS: usize = 5;

#[derive(Args)]
pub struct Arguments {
    /// Distinct keys; a multiple of 1,000.
    #[arg(long, default_value_t = 200_000)]
    items: u64,
    /// Commits of a single item, and a tenth as many of 100.
    #[arg(long, default_value_t = 2_000)]
    commits: u64,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Names of the engines; all if there are none.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Directory for the data, removed afterwards.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// Runs once with 20,000 keys and 200 single commits, to see that it works.
    #[arg(long)]
    quick: bool,
}

/// Figures of one life, in the order of [`TABLES`]' columns.
type Figures = Vec<f64>;

const TABLES: [(&str, &[&str]); 8] = [
    (
        "commits of one item, over all keys",
        &["commits/s", "p50 us", "p99 us"],
    ),
    (
        "commits of 100 random overwrites",
        &["items/s", "p50 us", "p99 us"],
    ),
    (
        "commits of 1,000 new keys",
        &["items/s", "p50 us", "p99 us"],
    ),
    (
        "commits of 1,000 random overwrites, five rounds of all keys",
        &[
            "first round, items/s",
            "last round, items/s",
            "last round, p50 us",
            "last round, p99 us",
        ],
    ),
    (
        "scan of everything by seqno, after the overwrites",
        &["items/s"],
    ),
    ("random gets by key, warm", &["gets/s"]),
    (
        "bytes written for each byte of the overwrites' keys and values",
        &[
            "first round, accounted",
            "first round, device",
            "all, accounted",
            "all, device",
            "kept on disk",
        ],
    ),
    ("open after a kill, files not cached", &["ms"]),
];

pub fn run(arguments: &Arguments) {
    let Arguments {
        mut items,
        mut commits,
        mut runs,
        ..
    } = *arguments;
    if arguments.quick {
        (items, commits, runs) = (20_000, 200, 1);
    }
    let dir = storage::made(&arguments.dir);
    println!(
        "{items} keys of {KEY_BYTES} B, random values of {VALUE_BYTES} B, medians of {runs}; {}",
        storage::file_system(&dir)
    );

    let engines: Vec<_> = engines::wanted(&arguments.peers).collect();
    let mut lives: Vec<Vec<Figures>> = engines.iter().map(|_| Vec::new()).collect();
    for run in 1..=runs {
        for (&(name, with), lives) in engines.iter().zip(&mut lives) {
            eprintln!("run {run} of {runs}: {name}");
            lives.push(life(name, with, &dir, items, commits));
        }
    }
    let mut first = 0;
    for (title, columns) in TABLES {
        let mut table = Table::new(
            title,
            columns.iter().map(|&column| column.to_owned()).collect(),
        );
        for (&(name, _), lives) in engines.iter().zip(&lives) {
            let of = |column| median(lives.iter().map(|life| life[column]).collect());
            table.row(name, (first..first + columns.len()).map(of).collect());
        }
        table.print();
        first += columns.len();
    }
}

/// Measures one store from its first commit on.
fn life(name: &str, with: With, dir: &Path, items: u64, commits: u64) -> Figures {
    let mut figures = Vec::new();
    let second = storage::new_dir(dir);
    let dir = storage::new_dir(dir);
    with(dir.path(), &mut |store| {
        let mut work = Work::new(items);
        let user_bytes = items * (KEY_BYTES + VALUE_BYTES) as u64;
        let new = committed(store, &mut work, items / BATCH, BATCH);
        let before = Written::now(dir.path());
        let first = committed(store, &mut work, items / BATCH, BATCH);
        let first_written = Written::now(dir.path()).since(before, user_bytes);
        let mut last = first;
        for _ in 1..ROUNDS {
            last = committed(store, &mut work, items / BATCH, BATCH);
        }
        let written = Written::now(dir.path()).since(before, user_bytes * ROUNDS as u64);
        let kept = storage::allocated_bytes(dir.path()) as f64 / user_bytes as f64;
        let scan = scanned(store, items);
        let gets = got(store, &work, items);
        let hundred = committed(store, &mut work, commits / 10, MIDDLING);
        let single = committed(store, &mut work, commits, 1);
        let rounds = [first[0], last[0], last[1], last[2]];
        let reads = [scan, gets];
        figures = [
            &single[..],
            &hundred,
            &new,
            &rounds,
            &reads,
            &first_written,
            &written,
            &[kept],
        ]
        .concat();
    });
    drop(dir);
    let opened = reopen::after_kill(name, with, second.path(), items);
    figures.push(opened.as_secs_f64() * 1e3);
    figures
}

/// Returns items a second, and the median and 99th percentile of a commit in microseconds.
fn committed(store: &mut dyn Store, work: &mut Work, commits: u64, batch: u64) -> [f64; 3] {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..commits {
        let writes = work.next(batch);
        let started = Instant::now();
        store.commit(&writes);
        times.push(started.elapsed());
    }
    quantiles(times, batch)
}

/// Returns items a second, and the median and 99th percentile in microseconds, of operations on
/// `items` items each.
fn quantiles(mut times: Vec<Duration>, items: u64) -> [f64; 3] {
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let quantile = |of: usize| times[(times.len() - 1) * of / 100].as_secs_f64() * 1e6;
    [
        (times.len() as u64 * items) as f64 / sum.as_secs_f64(),
        quantile(50),
        quantile(99),
    ]
}

/// Scans everything; returns items a second.
fn scanned(store: &dyn Store, items: u64) -> f64 {
    let mut count = 0;
    let mut last = 0;
    let started = Instant::now();
    store.scan(&mut |seqno, key, value| {
        assert!(seqno > last && key.len() == KEY_BYTES && value.len() == VALUE_BYTES);
        black_box(value[VALUE_BYTES - 1]);
        (count, last) = (count + 1, seqno);
    });
    let took = started.elapsed();
    assert_eq!(count, items, "each key once");
    items as f64 / took.as_secs_f64()
}

/// Gets random keys; returns gets a second.
fn got(store: &dyn Store, work: &Work, count: u64) -> f64 {
    let keys = work.present(count);
    let mut found = 0;
    let started = Instant::now();
    store.gets(&keys, &mut |value| {
        black_box(value[VALUE_BYTES - 1]);
        found += 1;
    });
    let took = started.elapsed();
    assert_eq!(found, count);
    count as f64 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

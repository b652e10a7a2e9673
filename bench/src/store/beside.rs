//! Commits concurrent with a compaction of everything, of every engine that has one, and the space
//! it leaves.
//!
//! Every key is written once and overwritten once. Then commits of 100 random overwrites are timed:
//! first alone, then while another thread compacts, as long as that takes. Neither thread waits
//! between its calls. At the end one more compaction, without commits, shows the store's size
//! without garbage.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::work::Work;
use super::{median, storage};
use crate::engines::{self, KEY_BYTES, Store, VALUE_BYTES, With};
use crate::table::Table;

/// Items in a commit that fills the store.
const FILL: u64 = 1_000;
/// Items in a commit that is timed.
const BATCH: u64 = 100;

#[derive(Args)]
pub struct Arguments {
    /// Distinct keys; a multiple of 1,000.
    #[arg(long, default_value_t = 200_000)]
    items: u64,
    /// Commits that are timed without a compaction.
    #[arg(long, default_value_t = 500)]
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
}

const COMMITS: [&str; 9] = [
    "alone: items/s",
    "p50 us",
    "p99 us",
    "max us",
    "beside: items/s",
    "p50 us",
    "p99 us",
    "max us",
    "commits",
];
const SPACE: [&str; 3] = ["took s", "files, per byte", "in use, per byte"];

pub fn run(arguments: &Arguments) {
    let &Arguments {
        items,
        commits,
        runs,
        ref peers,
        ref dir,
    } = arguments;
    let dir = storage::made(dir);
    println!(
        "{items} keys of {KEY_BYTES} B, random values of {VALUE_BYTES} B, medians of {runs}; {}",
        storage::file_system(&dir)
    );
    let mut times = Table::new(
        "commits of 100 random overwrites, alone and beside a compaction",
        COMMITS.map(str::to_owned).to_vec(),
    );
    let mut space = Table::new(
        "the compaction, and the space after one",
        SPACE.map(str::to_owned).to_vec(),
    );
    for (name, with) in engines::wanted(peers) {
        let lives: Vec<Vec<f64>> = (0..runs)
            .filter_map(|_| life(with, &dir, items, commits))
            .collect();
        if lives.is_empty() {
            continue;
        }
        let of = |column: usize| median(lives.iter().map(|life| life[column]).collect());
        times.row(name, (0..COMMITS.len()).map(of).collect());
        space.row(
            name,
            (COMMITS.len()..COMMITS.len() + SPACE.len())
                .map(of)
                .collect(),
        );
    }
    times.print();
    space.print();
}

/// Returns the figures of one store; `None` if it has no compaction.
fn life(with: With, dir: &Path, items: u64, commits: u64) -> Option<Vec<f64>> {
    let dir = storage::new_dir(dir);
    let mut figures = None;
    with(dir.path(), &mut |store| {
        let Some(compaction) = store.compaction() else {
            return;
        };
        let mut work = Work::new(items);
        for _ in 0..2 * items / FILL {
            store.commit(&work.next(FILL));
        }
        let alone = (0..commits).map(|_| committed(store, &mut work)).collect();
        let (took, beside) = std::thread::scope(|scope| {
            let compaction = scope.spawn(|| {
                let started = Instant::now();
                compaction();
                started.elapsed()
            });
            let mut times = Vec::new();
            while !compaction.is_finished() {
                times.push(committed(store, &mut work));
            }
            (compaction.join().expect("compacts"), times)
        });
        if let Some(compaction) = store.compaction() {
            compaction();
        }
        let user_bytes = (items * (KEY_BYTES + VALUE_BYTES) as u64) as f64;
        let files = storage::allocated_bytes(dir.path());
        let used = store.used_bytes().unwrap_or(files);
        let space = [
            took.as_secs_f64(),
            files as f64 / user_bytes,
            used as f64 / user_bytes,
        ];
        let count = beside.len() as f64;
        figures = Some([&quantiles(alone)[..], &quantiles(beside), &[count], &space].concat());
    });
    figures
}

fn committed(store: &mut dyn Store, work: &mut Work) -> Duration {
    let writes = work.next(BATCH);
    let started = Instant::now();
    store.commit(&writes);
    started.elapsed()
}

/// Returns items a second, and the median, 99th percentile and maximum of a commit in microseconds.
fn quantiles(mut times: Vec<Duration>) -> [f64; 4] {
    if times.is_empty() {
        return [f64::NAN; 4];
    }
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let micros = |at: usize| times[at].as_secs_f64() * 1e6;
    let last = times.len() - 1;
    let rate = (times.len() as u64 * BATCH) as f64 / sum.as_secs_f64();
    [
        rate,
        micros(last / 2),
        micros(last * 99 / 100),
        micros(last),
    ]
}

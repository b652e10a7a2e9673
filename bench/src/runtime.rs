//! The store with its threads, against fjall with synced writes and against its own engine alone.
//!
//! Peers take turns within a run, so that a disturbance affects all of them. Each figure is the
//! median of the runs; the lowest and the highest follow in rows of their own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::engines::EngineKind;
use crate::store::storage;
use crate::table::Table;

mod backfill;
mod durable;
mod engines;
mod idle;
mod latency;
mod live;
mod memory;
mod recording;
mod throughput;

#[derive(Args)]
pub struct Arguments {
    /// Parts to run; all if there are none.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each timed part whose length is a time.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Numbers of threads that wait for their writes.
    #[arg(long, value_delimiter = ',', default_value = "1,16,256")]
    threads: Vec<usize>,
    /// Documents that are written without waiting.
    #[arg(long, default_value_t = 500_000)]
    items: u64,
    /// Limit of changes in memory while they are written, in MiB.
    #[arg(long, default_value_t = 64)]
    quota_mib: usize,
    /// Documents that a follower reads from disk.
    #[arg(long, default_value_t = 2_000_000)]
    backfill_items: u64,
    /// Keys of the part about memory.
    #[arg(long, default_value_t = 10_000_000)]
    memory_keys: u64,
    /// Names of the engines; both if there are none.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Directory for the data, removed afterwards.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Writes that wait until they are persisted.
    Durable,
    /// Writes that do not wait, until all are persisted.
    Throughput,
    /// The time of a write that does not wait.
    Latency,
    /// The time from a write to a follower.
    Live,
    /// A follower that reads from disk.
    Backfill,
    /// The processor time of a store that does nothing.
    Idle,
    /// The memory of a store with many keys.
    Memory,
}

/// A table whose rows are medians, with the spread of each.
struct Medians(Table);

impl Medians {
    fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self(Table::new(title, columns))
    }

    /// Adds the figures of a peer's runs.
    fn row(&mut self, peer: &str, runs: &[Vec<f64>]) {
        let columns = runs.first().map_or(0, Vec::len);
        let sorted = (0..columns).map(|column| {
            let mut values: Vec<f64> = runs.iter().map(|run| run[column]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        });
        let sorted: Vec<Vec<f64>> = sorted.collect();
        let last = runs.len() - 1;
        for (name, at) in [("", runs.len() / 2), (", lowest", 0), (", highest", last)] {
            let row = sorted.iter().map(|values| values[at]).collect();
            self.0.row(&format!("{peer}{name}"), row);
        }
    }

    /// Adds a row for each engine. The engines take turns within a run.
    fn rows(&mut self, arguments: &Arguments, life: impl Fn(EngineKind) -> Vec<f64>) {
        let kinds = EngineKind::wanted(&arguments.engines);
        let mut lives: Vec<Vec<Vec<f64>>> = kinds.iter().map(|_| Vec::new()).collect();
        for run in 1..=arguments.runs {
            for (kind, lives) in kinds.iter().zip(&mut lives) {
                eprintln!("run {run}: {}", kind.name());
                lives.push(life(*kind));
            }
        }
        for (kind, lives) in kinds.iter().zip(&lives) {
            self.row(kind.name(), lives);
        }
    }

    fn print(&self) {
        self.0.print();
    }
}

pub fn run(arguments: &Arguments) {
    let dir = storage::made(&arguments.dir);
    let runs = arguments.runs;
    println!("medians of {runs}; {}", storage::file_system(&dir));
    let parts: [(Part, fn(&Arguments, &std::path::Path)); 7] = [
        (Part::Durable, durable::run),
        (Part::Throughput, throughput::run),
        (Part::Latency, latency::run),
        (Part::Live, live::run),
        (Part::Backfill, backfill::run),
        (Part::Idle, idle::run),
        (Part::Memory, memory::run),
    ];
    for (part, run) in parts {
        if arguments.only.is_empty() || arguments.only.contains(&part) {
            run(arguments, &dir);
        }
    }
}

//! Opening after a kill: a process that writes is killed midway; then its store is opened here.
//!
//! Everything that was acknowledged to the process must be there. The files' pages are dropped from
//! the system's cache first, so that opening reads from disk. A kill loses nothing that was
//! written: torn writes are not measured here.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use super::work::Work;
use super::{median, storage};
use crate::engines::{self, VALUE_BYTES, With, Write};
use crate::table::Table;

/// Items in a commit.
const BATCH: u64 = 1_000;
/// Number of commits of overwrites before the kill.
const COMMITS: usize = 20;

#[derive(Args)]
pub struct ChildArguments {
    #[arg(long)]
    peer: String,
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    items: u64,
}

#[derive(Args)]
pub struct Arguments {
    /// Distinct keys; a multiple of 1,000.
    #[arg(long, default_value_t = 200_000)]
    items: u64,
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

pub fn run(arguments: &Arguments) {
    let &Arguments {
        items,
        runs,
        ref peers,
        ref dir,
    } = arguments;
    let dir = storage::made(dir);
    println!(
        "{items} keys, medians of {runs}; {}",
        storage::file_system(&dir)
    );
    let columns = ["opened", "first get", "first commit", "whole"].map(str::to_owned);
    let mut table = Table::new("open after a kill, files not cached, ms", columns.to_vec());
    for (name, with) in engines::wanted(peers) {
        let one = |_| {
            let dir = storage::new_dir(&dir);
            serving_after_kill(name, with, dir.path(), items).map(|took| took.as_secs_f64() * 1e3)
        };
        let all: Vec<[f64; 4]> = (0..runs).map(one).collect();
        let column = |n: usize| median(all.iter().filter_map(|run| run.get(n).copied()).collect());
        table.row(name, (0..4).map(column).collect());
    }
    table.print();
}

/// Runs the process that will be killed: it prints the highest durable seqno after each commit.
pub fn child(arguments: &ChildArguments) {
    let with = engines::named(&arguments.peer).expect("its parent knows the names");
    with(&arguments.dir, &mut |store| {
        let mut work = Work::new(arguments.items);
        let mut out = std::io::stdout();
        loop {
            let writes = work.next(BATCH);
            store.commit(&writes);
            let high = writes.last().expect("a batch").seqno;
            if writeln!(out, "{high}").is_err() {
                // The parent has ended.
                return;
            }
        }
    });
}

/// Lets a process write a store until it is killed, and drops the store's files from the cache.
/// Returns the highest seqno that the process had acknowledged.
fn killed(peer: &str, dir: &Path, items: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("running"))
        .args([
            "store-child",
            "--peer",
            peer,
            "--items",
            &items.to_string(),
            "--dir",
        ])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let durable =
        |lines: usize, mut high: u64, of: &mut dyn Iterator<Item = std::io::Result<String>>| {
            for line in of.take(lines) {
                high = line.expect("text").parse().unwrap_or(high);
            }
            high
        };
    let high = durable(items.div_ceil(BATCH) as usize + COMMITS, 0, &mut lines);
    child.kill().expect("runs until it is killed");
    let high = durable(usize::MAX, high, &mut lines);
    child.wait().expect("killed");

    storage::forget_cached(dir);
    high
}

/// Opens the store of a killed process. Returns the time until it was open, had answered a get and
/// a commit of one item, and had returned its highest seqno. For an engine that loads its index
/// concurrently, the last time includes the whole index.
fn serving_after_kill(peer: &str, with: With, dir: &Path, items: u64) -> [Duration; 4] {
    let high = killed(peer, dir, items);
    let keys = Work::new(items).present(3);
    let first = Write {
        seqno: high + 10 * BATCH,
        key: keys[0],
        value: vec![0; VALUE_BYTES].into(),
    };
    let mut took = [Duration::ZERO; 4];
    let started = Instant::now();
    with(dir, &mut |store| {
        took[0] = started.elapsed();
        let mut bytes = 0;
        store.get(&keys[1], &mut |value| bytes = value.len());
        took[1] = started.elapsed();
        store.commit(std::slice::from_ref(&first));
        took[2] = started.elapsed();
        let found = store.high();
        took[3] = started.elapsed();
        assert_eq!((bytes, found), (VALUE_BYTES, first.seqno), "{peer}");
        let mut count = 0;
        let mut before = 0;
        store.scan(&mut |seqno, _, _| {
            count += 1;
            before = if seqno < first.seqno { seqno } else { before };
        });
        assert!(
            before >= high,
            "{peer} lost what it had acknowledged: {before} is below {high}"
        );
        assert_eq!(count, items, "{peer} has not each key once");
    });
    took
}

/// Returns the time until the store of a killed process has returned its highest seqno.
pub fn after_kill(peer: &str, with: With, dir: &Path, items: u64) -> Duration {
    let high = killed(peer, dir, items);
    let mut took = Duration::ZERO;
    let started = Instant::now();
    with(dir, &mut |store| {
        let found = store.high();
        took = started.elapsed();
        assert!(
            found >= high,
            "{peer} lost what it had acknowledged: {found} is below {high}"
        );
        let mut count = 0;
        store.scan(&mut |_, _, _| count += 1);
        assert_eq!(count, items, "{peer} has not each key once");
    });
    took
}

//! Opening after a kill: a process that writes is killed in the middle of it; then its store is opened here.
//!
//! Everything the process was told to be durable must be there. The files' pages are dropped from the system's cache
//! before, so that what is read to open is read from disk. (Nothing that was written is lost by a kill: torn writes
//! are not what this measures.)

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
/// How many commits of overwrites are seen before the kill.
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
    /// Runs of which the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only these engines.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Where the data go, for as long as it takes.
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

/// What the process does that will be killed: says the highest durable seqno after each commit.
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
                // The parent is gone.
                return;
            }
        }
    });
}

/// Has a process write a store until it is killed, and the store's files out of the cache; the highest seqno it was told to
/// be durable.
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

/// How long after it began to open the store of a killed process it was open, had answered a get, a commit of one item, and
/// told its highest seqno: of one that loads its index beside that, when all of it is loaded.
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
        let (mut count, mut before) = (0, 0);
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

/// How long it takes until the store of a killed process has told its highest seqno.
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

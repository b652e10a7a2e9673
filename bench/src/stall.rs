//! The cost of one slow consumer, and the time that our lock is held.

use std::process::Command;
use std::time::Instant;

use clap::Args;
use lowtide_checkpoint::{CheckpointConfig, CheckpointManager, Item, ReadLimit, Seqno};

use crate::peers::{item, new_item};
use crate::race::{Zipf, median};
use crate::table::Table;

/// Number of keys that are written.
const KEYS: usize = 10_000;

#[derive(Args)]
pub struct Arguments {
    /// Updates written while one consumer stands still.
    #[arg(long, default_value_t = 2_000_000)]
    updates: u64,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Peer of one run, set in the child processes.
    #[arg(long, hide = true)]
    only: Option<String>,
}

pub fn run(arguments: &Arguments) {
    if let Some(peer) = &arguments.only {
        return only(peer, arguments.updates);
    }
    stalled(arguments);
    held(arguments);
    lookups();
    costs(arguments);
}

/// Measures one consumer that reads nothing while hot keys are written, and then reads all: it must
/// have every final value. Each run is a process of its own. Otherwise a peer that grows finds
/// memory that its last run already got from the system.
fn stalled(arguments: &Arguments) {
    let columns = ["updates/s", "peak queue MiB", "items read", "wrong values"]
        .map(str::to_owned)
        .to_vec();
    let updates = arguments.updates;
    let runs = arguments.runs;
    let title =
        format!("one stalled consumer, {updates} Zipf updates over {KEYS} keys, median of {runs}");
    let mut table = Table::new(&title, columns);
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..runs {
        ours.push(in_process("lowtide", updates));
        theirs.push(in_process("crossbeam-unbounded", updates));
    }
    table.row("lowtide", median_by_rate(ours));
    table.row("crossbeam-unbounded", median_by_rate(theirs));
    table.print();
}

fn in_process(peer: &str, updates: u64) -> [f64; 4] {
    let program = std::env::current_exe().expect("a running program has a path");
    let updates = updates.to_string();
    let output = Command::new(program)
        .args(["stall", "--updates", &updates, "--only", peer])
        .output();
    let text = String::from_utf8(output.expect("it ran a moment ago").stdout).expect("figures");
    serde_json::from_str::<[Option<f64>; 4]>(&text)
        .expect("four figures")
        .map(|figure| figure.unwrap_or(f64::NAN))
}

fn only(peer: &str, updates: u64) {
    let zipf = Zipf::new(KEYS);
    let keys: Vec<u64> = (0..updates).map(|n| zipf.key(n)).collect();
    let figures = if peer == "lowtide" {
        lowtide(&keys)
    } else {
        crossbeam(&keys)
    };
    println!("{}", serde_json::to_string(&figures).expect("numbers"));
}

/// Returns the run whose first figure is the median.
fn median_by_rate(mut runs: Vec<[f64; 4]>) -> Vec<f64> {
    runs.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
    runs[runs.len() / 2].to_vec()
}

fn lowtide(keys: &[u64]) -> [f64; 4] {
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    let cursor = manager
        .register(
            "stalled",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("valid")
        .cursor;
    let mut newest = vec![0; KEYS];
    let mut peak = 0;
    let started = Instant::now();
    for (n, &key) in keys.iter().enumerate() {
        let seqno = manager.queue(item(key, n as u64)).expect("active").seqno;
        newest[key as usize] = seqno.0;
        if n % 1_024 == 0 {
            peak = peak.max(manager.stats().memory_bytes());
        }
    }
    let rate = keys.len() as f64 / started.elapsed().as_secs_f64();
    let batch = manager.read(cursor, ReadLimit::NONE).expect("registered");
    let key_of =
        |item: &Item| u64::from_be_bytes(item.key.user()[..8].try_into().expect("20 bytes"));
    let wrong = batch
        .items()
        .filter(|item| newest[key_of(item) as usize] != item.seqno.0)
        .count();
    let written = newest.iter().filter(|&&seqno| seqno > 0).count();
    let read = batch.items().count();
    [
        rate,
        mebibytes(peak),
        read as f64,
        (wrong + written.abs_diff(read)) as f64,
    ]
}

fn crossbeam(keys: &[u64]) -> [f64; 4] {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let started = Instant::now();
    for &key in keys {
        sender
            .send(crate::peers::Plain::new(key))
            .expect("its receiver lives");
    }
    let rate = keys.len() as f64 / started.elapsed().as_secs_f64();
    let bytes = receiver.len() * (size_of::<crate::peers::Plain>() + 16 + 16);
    [rate, mebibytes(bytes), receiver.len() as f64, f64::NAN]
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn filled(items: u64) -> CheckpointManager {
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    // The cursor holds back everything until it reads.
    manager
        .register(
            "reader",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("valid");
    for n in 0..items {
        manager.queue(new_item(n)).expect("active");
    }
    manager
}

/// Measures whole calls, whose time bounds the time their lock is held.
fn held(arguments: &Arguments) {
    let sizes = [1_000, 10_000, 100_000, 1_000_000];
    let columns = sizes.iter().map(|size| format!("{size} items")).collect();
    let mut table = Table::new(
        "microseconds of one call (an upper bound of the time the lock is held)",
        columns,
    );
    let mut rows = [
        ("read", Vec::new()),
        ("remaining", Vec::new()),
        ("register", Vec::new()),
        ("expel", Vec::new()),
    ];
    for size in sizes {
        let mut times: [Vec<_>; 4] = Default::default();
        for _ in 0..arguments.runs {
            let manager = filled(size);
            let cursor = manager.cursor("reader").expect("registered");
            let timed = |step: &mut dyn FnMut()| {
                let started = Instant::now();
                step();
                started.elapsed()
            };
            times[1].push(timed(&mut || {
                manager.remaining(cursor).expect("registered");
            }));
            times[2].push(timed(&mut || {
                manager
                    .register(
                        "middle",
                        Seqno(size / 2),
                        lowtide_checkpoint::CursorOptions::new(),
                    )
                    .expect("valid");
            }));
            manager
                .unregister(manager.cursor("middle").expect("registered"))
                .expect("registered");
            let mut batch = None;
            times[0].push(timed(&mut || {
                batch = Some(manager.read(cursor, ReadLimit::NONE).expect("registered"))
            }));
            // The batch keeps the chunks, so freeing them is not counted: it does not happen under
            // the lock.
            times[3].push(timed(&mut || {
                manager.expel();
            }));
        }
        for ((_, values), times) in rows.iter_mut().zip(times) {
            values.push(median(times).as_secs_f64() * 1e6);
        }
    }
    for (name, values) in rows {
        table.row(name, values);
    }
    table.print();
}

/// Measures calls whose cost must not grow with the number of entries they search: warm, each the
/// median of a thousand.
fn lookups() {
    let manager = filled(1_000_000);
    let registered = thousand(|n| {
        let cursor = manager
            .register(
                "other",
                Seqno(n * 999 + 1),
                lowtide_checkpoint::CursorOptions::new(),
            )
            .expect("valid")
            .cursor;
        manager.unregister(cursor).expect("registered");
    });
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    for n in 0..10_000 {
        manager
            .register(
                &format!("cursor {n}"),
                Seqno::ZERO,
                lowtide_checkpoint::CursorOptions::new(),
            )
            .expect("valid");
    }
    manager.queue(new_item(0)).expect("active");
    let lowest = thousand(|_| assert_eq!(manager.expel(), 0, "nobody has read"));
    let mut table = Table::new("microseconds of one call, warm", vec!["median".into()]);
    table.row(
        "register, and unregister, among a million items",
        vec![registered],
    );
    table.row("expel nothing: the lowest of 10,000 cursors", vec![lowest]);
    table.print();
}

fn thousand(mut step: impl FnMut(u64)) -> f64 {
    let timed = |n| {
        let started = Instant::now();
        step(n);
        started.elapsed()
    };
    median((0..1_000).map(timed).collect()).as_secs_f64() * 1e6
}

/// Measures the cost of an item beyond its key and value.
fn costs(_: &Arguments) {
    let items = 1_000_000;
    let manager = filled(items);
    let stats = manager.stats();
    let payload = items as usize * (21 + 256);
    let mut table = Table::new(
        "bytes for each of a million queued items",
        vec!["beyond key and value".into(), "of which item".into()],
    );
    let beyond = (stats.memory_bytes() - payload) as f64 / items as f64;
    table.row("lowtide", vec![beyond, size_of::<Item>() as f64]);
    table.print();
}

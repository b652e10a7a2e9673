//! The time of a write that does not wait, at a steady rate, while flushers commit and the engine
//! rewrites what overwrites have superseded.

use std::path::Path;
use std::time::{Duration, Instant};

use super::engines::{EngineKind, document, flush, quantile, set};
use super::{Arguments, Medians};
use crate::paced::paced;
use crate::race::scramble;
use crate::store::storage;

/// Documents, each of which is overwritten a few times.
const KEYS: u64 = 100_000;
/// Writes a second.
const RATE: u64 = 20_000;
const COLUMNS: [&str; 5] = [
    "p50 us",
    "p99 us",
    "p99.9 us",
    "longest us",
    "MiB rewritten",
];

pub fn run(arguments: &Arguments, dir: &Path) {
    let title = format!("a write that does not wait, {RATE} overwrites a second of {KEYS} keys");
    let mut table = Medians::new(&title, &COLUMNS);
    table.rows(arguments, |kind| life(kind, dir, arguments.seconds));
    table.print();
}

fn life(kind: EngineKind, dir: &Path, seconds: u64) -> Vec<f64> {
    let dir = storage::new_dir(dir);
    let store = kind.open(dir.path(), kind.options());
    for revision in 0..2 {
        for n in 0..KEYS {
            let document = document(n, revision);
            set(&store, document.vb, &document.key, &document.value);
        }
    }
    flush(&store);
    let before = store.stats().engine.expect("open").common.written_bytes;
    let count = 2 * seconds * RATE;
    let mut times: Vec<u64> = Vec::with_capacity(count as usize);
    paced(RATE, count, |n| {
        let document = document(scramble(n) % KEYS, n + 2);
        let started = Instant::now();
        set(&store, document.vb, &document.key, &document.value);
        let took: Duration = started.elapsed();
        times.push(took.as_nanos() as u64);
    });
    flush(&store);
    let written = store.stats().engine.expect("open").common.written_bytes - before;
    let of_writes = count * 300;
    store.close().expect("a working disk");
    times.sort_unstable();
    let micros = |permille| quantile(&times, permille) / 1e3;
    let rewritten = written.saturating_sub(of_writes) as f64 / f64::from(1 << 20);
    vec![
        micros(500),
        micros(990),
        micros(999),
        micros(1_000),
        rewritten,
    ]
}

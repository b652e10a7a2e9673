//! Process for one engine: fills its store; or opens it, reports when it is ready, and measures on
//! request.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::group::Group;
use super::own_cache_bytes;
use crate::engines::{self, KEY_BYTES, Key, Memory, Store, VALUE_BYTES};
use crate::store::work::Work;
use crate::store::{BATCH, MIDDLING, committed, quantiles, scanned, storage};

/// Commits before those that are measured.
const WARM_UPS: u64 = 20;

#[derive(Args)]
pub struct ChildArguments {
    #[arg(long)]
    peer: String,
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    items: u64,
    #[arg(long)]
    gets: u64,
    #[arg(long)]
    commits: u64,
    /// Control group to join; without one the store is filled.
    #[arg(long)]
    group: Option<PathBuf>,
}

pub fn child(arguments: &ChildArguments) {
    let ChildArguments {
        peer,
        dir,
        items,
        group,
        ..
    } = arguments;
    if let Some(group) = group {
        Group::join(group);
    }
    let with = engines::named(peer).expect("its parent knows the names");
    engines::set_memory(Memory {
        cache_bytes: own_cache_bytes(peer, *items) as usize,
        is_short: true,
    });
    with(dir, &mut |store| {
        if group.is_some() {
            measure(store, arguments)
        } else {
            fill(store, *items)
        }
    });
}

/// Writes every key once, then overwrites all of them.
fn fill(store: &mut dyn Store, items: u64) {
    let mut work = Work::new(items);
    for _ in 0..2 * items / BATCH {
        store.commit(&work.next(BATCH));
    }
    if let Some(compaction) = store.compaction() {
        compaction();
    }
    storage::settle();
}

fn measure(store: &mut dyn Store, arguments: &ChildArguments) {
    let &ChildArguments {
        items,
        gets: count,
        commits,
        ..
    } = arguments;
    let mut work = Work::after(items, store.high());
    let (uniform, zipf) = (work.present(2 * count), work.present_by_zipf(2 * count));
    let (before, uniform) = uniform.split_at(count as usize);
    // Runs everything once, so that the engine has allocated the memory for it.
    got(store, before);
    scanned(store, items);
    committed(store, &mut work, WARM_UPS, MIDDLING);
    storage::settle();

    println!("ready");
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("it continues");
    got(store, before);
    let uniform = gets(store, uniform);
    let (before, zipf) = zipf.split_at(count as usize);
    got(store, before);
    let zipf = gets(store, zipf);
    let scan = scan(store, items);
    let commits = self::commits(store, &mut work, commits);
    let figures = [&uniform[..], &zipf, &scan, &commits].concat();
    println!("{}", serde_json::to_string(&figures).expect("numbers"));
}

fn gets(store: &dyn Store, keys: &[Key]) -> [f64; 4] {
    let fetched = storage::fetched_bytes();
    let times = got(store, keys);
    let fetched = (storage::fetched_bytes() - fetched) as f64 / 1024.0 / keys.len() as f64;
    let [rate, p50, p99] = quantiles(times, 1);
    [rate, p50, p99, fetched]
}

fn scan(store: &dyn Store, items: u64) -> [f64; 2] {
    let fetched = storage::fetched_bytes();
    let rate = scanned(store, items);
    let fetched = (storage::fetched_bytes() - fetched) as f64;
    [
        rate,
        fetched / (items * (KEY_BYTES + VALUE_BYTES) as u64) as f64,
    ]
}

fn commits(store: &mut dyn Store, work: &mut Work, count: u64) -> [f64; 4] {
    let fetched = storage::fetched_bytes();
    let [rate, p50, p99] = committed(store, work, count, MIDDLING);
    let fetched = (storage::fetched_bytes() - fetched) as f64 / 1024.0 / (count * MIDDLING) as f64;
    [rate, p50, p99, fetched]
}

/// Returns the time of each get.
fn got(store: &dyn Store, keys: &[Key]) -> Vec<Duration> {
    let mut times = Vec::with_capacity(keys.len());
    let mut started = Instant::now();
    store.gets(keys, &mut |value| {
        black_box(value[VALUE_BYTES - 1]);
        let now = Instant::now();
        times.push(now - std::mem::replace(&mut started, now));
    });
    assert_eq!(times.len(), keys.len(), "each key is there");
    times
}

//! The memory of a store with many keys: changes and documents in memory have a limit together, and
//! the engine's index comes on top.
//!
//! Keys are of 16 bytes, values of 84: a document has 100. All are written once, then a part of them
//! is read, and as many keys that are not there.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lowtide_checkpoint::{QuotaConfig, Vbid};
use lowtide_persistence::StoreError;

use super::engines::{EngineKind, VBUCKETS, flush};
use super::{Arguments, Medians};
use crate::race::scramble;
use crate::store::storage;

const VALUE_BYTES: usize = 84;
/// Half of the limit, for changes and for documents.
const HALF_BYTES: usize = 32 << 20;
const READS: u64 = 200_000;
const COLUMNS: [&str; 9] = [
    "peak RSS, MiB",
    "of it before, MiB",
    "limit, MiB",
    "engine's index, MiB",
    "engine's cache, MiB",
    "index, B a key",
    "written, keys/s",
    "reads of keys that are there, /s",
    "lookups of absent keys on disk, %",
];

pub fn run(arguments: &Arguments, dir: &Path) {
    let keys = arguments.memory_keys;
    let title = format!("the memory of a store with {keys} documents of 100 B");
    let mut table = Medians::new(&title, &COLUMNS);
    table.rows(arguments, |kind| life(kind, dir, keys));
    table.print();
}

fn life(kind: EngineKind, dir: &Path, keys: u64) -> Vec<f64> {
    let dir = storage::new_dir(dir);
    forget_peak();
    let before = resident("VmRSS:");
    let options = kind
        .options()
        .with_quota(QuotaConfig::default().with_limit_bytes(HALF_BYTES))
        .with_cache_bytes(HALF_BYTES);
    let store = kind.open(dir.path(), options);
    let started = Instant::now();
    let value = Bytes::from(vec![7; VALUE_BYTES]);
    for number in 0..keys {
        let (vb, key) = key(number);
        while let Err(error) = store.set(vb, &key, value.clone()).map(drop) {
            assert!(matches!(error, StoreError::NoMemory { .. }), "{error}");
            store.wait_for_memory(Duration::MAX).expect("open");
        }
    }
    flush(&store);
    let written = keys as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    for number in 0..READS.min(keys) {
        let (vb, key) = key(scramble(number) % keys);
        assert!(store.get(vb, &key).expect("readable").is_some());
    }
    let read = READS.min(keys) as f64 / started.elapsed().as_secs_f64();
    let misses = store.stats().documents.misses;
    for number in keys..keys + READS {
        let (vb, key) = key(number);
        assert!(store.get(vb, &key).expect("readable").is_none());
    }
    let absent = (store.stats().documents.misses - misses) as f64 * 100.0 / READS as f64;
    let engine = store.stats().engine.expect("open");
    let index = engine.get("index-bytes").unwrap_or(0) as f64;
    let cache = engine.common.cache_bytes as f64;
    store.close().expect("a working disk");
    let mib = f64::from(1 << 20);
    vec![
        resident("VmHWM:"),
        before,
        2.0 * HALF_BYTES as f64 / mib,
        index / mib,
        cache / mib,
        index / keys as f64,
        written,
        read,
        absent,
    ]
}

fn key(number: u64) -> (Vbid, [u8; 16]) {
    let spread = scramble(number);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    (Vbid((spread % u64::from(VBUCKETS)) as u16), key)
}

/// Sets the peak of the resident memory to what is resident now.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux has it");
}

/// Returns a line of `/proc/self/status`, in MiB.
fn resident(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok())
        .expect("a number")
        / 1024.0
}

//! Cached blocks and frames read whole: they return what was written, and damage to either is
//! found.

use lowtide_checkpoint::{Item, Key, Namespace, Seqno};

use crate::contract::{Engine, ScanLimit, Snapshot};
use crate::disk::{Access, Disk, MemoryDisk, MeteredDisk};
use crate::logstor::tests::support::{
    A, SMALL, commit, log_path, noise, open, open_with, run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

fn key(n: u64) -> Key {
    Key::new(format!("key-{n}").as_bytes())
}

/// Commits batches of 50 items; a frame has many.
fn filled(engine: &Logstor) {
    engine.create(A).expect("created");
    for first in (0..400).step_by(50) {
        let batch: Vec<Item> = (first..first + 50)
            .map(|n| set(n + 1, &format!("key-{n}"), &noise(n, 300 + n as usize)))
            .collect();
        commit(engine, A, &batch).expect("committed");
    }
}

fn got(snapshot: &dyn Snapshot, n: u64) -> Item {
    snapshot
        .get(Namespace::Committed, &key(n))
        .expect("readable")
        .expect("there")
}

#[test]
fn block_is_read_once_and_no_more_are_kept_than_configured() {
    let disk = MeteredDisk::new(std::sync::Arc::new(MemoryDisk::new()));
    for (cache_bytes, may_read_again) in [(1 << 20, false), (8 << 12, true), (0, true)] {
        let config = LogstorConfig {
            cache_bytes,
            ..SMALL
        };
        let (engine, _) = open_with(&disk, config).expect("opens");
        if engine.vbuckets().is_empty() {
            filled(&engine);
        }
        let snapshot = engine.snapshot(A).expect("there");
        let read = |n| {
            assert_eq!(
                got(&*snapshot, n),
                set(n + 1, &format!("key-{n}"), &noise(n, 300 + n as usize))
            )
        };
        (0..400).for_each(read);
        let before = disk.stats();
        (0..400).for_each(read);
        let again = disk.stats().since(&before).reads;
        assert_eq!(
            again > 0,
            may_read_again,
            "{again} reads with {cache_bytes} bytes"
        );
        assert!(engine.stats()["cache-bytes"] <= cache_bytes as u64);
        engine.close().expect("closed");
    }
}

#[test]
fn blocks_of_a_reused_segment_are_not_kept() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    filled(&engine);
    for round in 1..6_u64 {
        for first in (0..400).step_by(50) {
            let high = engine.info(A).expect("there").high.0;
            let batch: Vec<Item> = (0..50)
                .map(|n| {
                    set(
                        high + 1 + n,
                        &format!("key-{}", first + n),
                        &noise(round, 700),
                    )
                })
                .collect();
            commit(&engine, A, &batch).expect("committed");
        }
        run(engine
            .compact(A, crate::contract::CompactionRequest::default())
            .expect("begins"))
        .expect("compacted");
        let snapshot = engine.snapshot(A).expect("there");
        for n in 0..400 {
            assert_eq!(
                got(&*snapshot, n).value.expect("set"),
                noise(round, 700),
                "round {round}, key {n}"
            );
        }
    }
}

#[test]
fn damage_in_a_frame_that_is_read_whole_costs_the_damaged_record_alone() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(
        &disk,
        LogstorConfig {
            cache_bytes: 0,
            ..SMALL
        },
    )
    .expect("opens");
    filled(&engine);
    let file = disk.open(&log_path(0), Access::ReadWrite).expect("there");
    let mut log = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut log, 0).expect("read");
    let value = noise(7, 307);
    let at = log
        .windows(value.len())
        .position(|bytes| bytes == value)
        .expect("written") as u64;
    file.write_at(&[&[log[at as usize + 100] ^ 1]], at + 100)
        .expect("written");

    let snapshot = engine.snapshot(A).expect("there");
    let scan = |from, to| snapshot.scan(Seqno(from), Seqno(to), ScanLimit::NONE);
    let error = scan(0, 400).expect_err("damaged");
    assert_eq!(error.kind(), "corrupt");
    assert_eq!(
        snapshot
            .get(Namespace::Committed, &key(7))
            .expect_err("damaged")
            .kind(),
        "corrupt"
    );
    // The other records of the frame are sound.
    assert_eq!(scan(1, 7).expect("sound").items.len(), 7);
    assert_eq!(scan(9, 400).expect("sound").items.len(), 392);
}

#[test]
fn values_of_a_scan_share_little_memory() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    filled(&engine);
    let snapshot = engine.snapshot(A).expect("there");
    let slice = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    let values: Vec<_> = slice
        .items
        .iter()
        .filter_map(|item| item.value.as_ref())
        .collect();
    let start = |at: usize| values[at].as_ptr() as usize;
    // Neighbours may share memory, but no shared run is longer than the limit.
    let mut run_start = start(0);
    for at in 1..values.len() {
        if start(at) != start(at - 1) + values[at - 1].len() {
            run_start = start(at);
        }
        assert!(
            start(at) + values[at].len() - run_start <= 4096,
            "value {at}"
        );
    }
}

//! A host that only runs maintenance: its stores stay in bounds, whatever is written to them.

use lowtide_checkpoint::{Item, Seqno, Vbid};

use crate::contract::{Budget, CommitBatch, Engine};
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{VB, contents, delete, noise, open_with, set, state};
use crate::disk::MemoryDisk;

use super::to_end;

const HOUR: u64 = 60 * 60;
/// A time after the epoch, in seconds.
const START: u64 = 1_700_000_000;
const FILE_BYTES_MIN: u64 = 64 << 10;

fn store(purge_age_seconds: Option<u32>) -> Couchstore {
    let compaction = CompactionConfig {
        file_bytes_min: FILE_BYTES_MIN,
        purge_age_seconds,
        ..CompactionConfig::DEFAULT
    };
    let config = CouchstoreConfig {
        compaction,
        ..CouchstoreConfig::DEFAULT
    };
    let (engine, _) = open_with(&MemoryDisk::new(), config).expect("opens");
    engine.create(VB).expect("created");
    engine.create(Vbid(8)).expect("created");
    engine
}

fn commit_at(engine: &Couchstore, vb: Vbid, seconds: u64, items: &[Item]) {
    let refs: Vec<&Item> = items.iter().collect();
    let state = state(items.last().map_or(0, |item| item.seqno.0));
    let batch = CommitBatch {
        vb,
        items: &refs,
        state: &state,
        timestamp: seconds * 1_000_000_000,
    };
    engine
        .commit(&[batch])
        .pop()
        .expect("one")
        .expect("committed");
}

/// Runs all maintenance.
fn keep_up(engine: &Couchstore) {
    while let Some(mut job) = engine.maintenance() {
        to_end(
            &mut *job,
            Budget {
                items: 64,
                bytes: 64 << 10,
            },
        )
        .expect("no failure");
    }
}

#[test]
fn overwrites_keep_a_store_in_bounds() {
    let engine = store(None);
    let mut most = 0;
    for n in 0..300_u64 {
        for vb in [VB, Vbid(8)] {
            let item = |k: u64| {
                set(
                    1 + 20 * n + k,
                    &format!("key-{}", (20 * n + 7 * k) % 100),
                    &noise(500),
                )
            };
            commit_at(&engine, vb, START, &(0..20).map(item).collect::<Vec<_>>());
        }
        keep_up(&engine);
        most = most.max(engine.stats()["file-bytes"]);
    }
    // 100 documents of 500 bytes and their indexes live in each of two files, and 6 MB were
    // written.
    assert!(most <= 2 * 2 * 100_000, "{most} bytes");
    assert!(engine.stats()["compactions"] > 20);
    assert_eq!(contents(&engine, VB).len(), 100);
}

/// Sets 10 documents that live for an hour, and deletes those of the hour before.
fn an_hour(engine: &Couchstore, hour: u64) {
    let now = START + hour * HOUR;
    let key = |hour: u64, n: u64| format!("hour-{hour}-{n}");
    let sets = (0..10).map(|n| set(1 + 20 * hour + n, &key(hour, n), &noise(1000)));
    let deletes = (0..10).map(|n| Item {
        expiry: u32::try_from(now).expect("this century"),
        ..delete(11 + 20 * hour + n, &key(hour.wrapping_sub(1), n))
    });
    commit_at(engine, VB, now, &sets.chain(deletes).collect::<Vec<_>>());
    keep_up(engine);
}

#[test]
fn tombstones_are_purged_at_the_configured_age() {
    let engine = store(Some(24 * HOUR as u32));
    let mut most = (0, 0);
    for hour in 1..1_000 {
        an_hour(&engine, hour);
        let info = engine.info(VB).expect("there");
        most = (
            most.0.max(engine.stats()["file-bytes"]),
            most.1.max(info.deleted),
        );
        let oldest_that_must_stay = 11 + 20 * hour.saturating_sub(24).max(1);
        assert!(
            info.purge < Seqno(oldest_that_must_stay),
            "hour {hour}: {info:?}"
        );
        assert!(info.deleted >= 10 * hour.min(24), "hour {hour}: {info:?}");
    }
    // Of 10,000 tombstones: those of a day, and those until the next compaction.
    assert!(most.1 < 10 * 24 * 4, "{most:?}");
    assert!(most.0 < 4 * FILE_BYTES_MIN, "{most:?}");
    let engine = store(None);
    (1..300).for_each(|hour| an_hour(&engine, hour));
    assert!(engine.stats()["compactions"] > 5);
    assert_eq!(
        engine.info(VB).expect("there").deleted,
        10 * 299,
        "none goes unasked"
    );
}

#[test]
fn tombstones_without_a_time_stay() {
    let engine = store(Some(0));
    for n in 0..200 {
        let items = [
            set(2 * n + 1, "key", &noise(3000)),
            delete(2 * n + 2, &format!("gone-{n}")),
        ];
        commit_at(&engine, VB, 0, &items);
        keep_up(&engine);
    }
    assert!(engine.stats()["compactions"] > 2);
    assert_eq!(engine.info(VB).expect("there").deleted, 200);
}

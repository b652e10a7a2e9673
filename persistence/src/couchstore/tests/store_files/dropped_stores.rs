//! A store that is dropped without being closed, while a compaction or snapshots of it are alive.
//! It opens again, and they harm nothing.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{
    Budget, CompactionRequest, Engine, EngineError, JobProgress, ScanLimit, Snapshot,
};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{VB, commit, set};
use crate::disk::{Disk, MemoryDisk};

const STEP: Budget = Budget {
    items: 16,
    bytes: 16 << 10,
};

fn open(disk: &MemoryDisk) -> Couchstore {
    Couchstore::open(
        Arc::new(disk.clone()),
        Path::new("/store"),
        CouchstoreConfig::default(),
    )
    .expect("opens")
    .0
}

fn lived(disk: &MemoryDisk) -> Couchstore {
    let engine = open(disk);
    engine.create(VB).expect("created");
    for n in 1..=100 {
        commit(
            &engine,
            VB,
            &[set(n, &format!("key-{}", n % 60), &vec![n as u8; 500])],
        )
        .expect("committed");
    }
    engine
}

fn shown(snapshot: &dyn Snapshot) -> Vec<lowtide_checkpoint::Item> {
    snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable")
        .items
}

#[test]
fn store_dropped_during_a_compaction_opens_again() {
    for steps in 0..100 {
        let disk = MemoryDisk::new();
        let engine = lived(&disk);
        let mut job = engine
            .compact(VB, CompactionRequest::default())
            .expect("begun");
        if (0..steps).any(|_| matches!(job.step(STEP).expect("works"), JobProgress::Done(_))) {
            return;
        }
        let snapshot = engine.snapshot(VB).expect("there");
        let expected = shown(&*snapshot);
        drop(engine);
        let engine = open(&disk);
        let mut other = engine
            .compact(VB, CompactionRequest::default())
            .expect("begun");
        for _ in 0..steps {
            other.step(STEP).expect("works");
        }
        // It runs until it needs the store's names, and no further.
        let refused = (0..100)
            .find_map(|_| job.step(STEP).err())
            .expect("it does not come to its end");
        assert!(
            matches!(refused, EngineError::Aborted { .. }),
            "after {steps} steps: {refused}"
        );
        drop(job);
        while !matches!(other.step(STEP).expect("works"), JobProgress::Done(_)) {}
        drop(other);
        assert_eq!(shown(&*engine.snapshot(VB).expect("there")), expected);
        assert_eq!(shown(&*snapshot), expected, "its file is open");
        assert_eq!(engine.check(VB).expect("readable"), [""; 0]);
        drop((snapshot, engine));
        for name in disk.list(Path::new("/store")).expect("there") {
            disk.remove(&Path::new("/store").join(name))
                .expect("removed");
        }
        disk.sync_dir(Path::new("/store")).expect("synced");
        assert_eq!(
            disk.usage().allocated_bytes,
            0,
            "after {steps} steps: handles are open"
        );
    }
    panic!("it does not end");
}

//! More files than may be open at once: they are opened when they are used, and a lack of handles
//! passes (E33).

use lowtide_checkpoint::{Key, Namespace, Seqno, Vbid};

use crate::contract::{CompactionRequest, Engine, EngineError, ScanLimit};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::compact::compact_to_end;
use crate::couchstore::tests::support::{commit, contents, open_with, set};
use crate::disk::{FaultyDisk, MemoryDisk, PowerLoss};

fn config(open_files_max: usize) -> CouchstoreConfig {
    CouchstoreConfig {
        open_files_max,
        cache_bytes: 0,
        ..CouchstoreConfig::DEFAULT
    }
}

fn store(vbuckets: u16, open_files_max: usize) -> (FaultyDisk, Couchstore) {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open_with(&disk, config(open_files_max)).expect("opens");
    for vb in 0..vbuckets {
        engine.create(Vbid(vb)).expect("created");
        commit(&engine, Vbid(vb), &[set(1, "a", b"1")]).expect("committed");
    }
    (disk, engine)
}

fn value(engine: &Couchstore, vb: u16) -> Result<Option<u8>, EngineError> {
    let item = engine.get(Vbid(vb), Namespace::Committed, &Key::new(b"a"))?;
    Ok(item.and_then(|item| item.value.and_then(|value| value.first().copied())))
}

#[test]
fn thousand_vbuckets_work_with_sixty_four_handles() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.limit_handles(Some(64));
    // The pool's bound is below the limit, and above it: then only the lack of handles closes
    // files.
    for open_files_max in [40, 4096] {
        let (engine, _) = open_with(&disk, config(open_files_max)).expect("opens");
        for vb in (0..1024).filter(|&vb| !engine.vbuckets().contains(&Vbid(vb))) {
            engine.create(Vbid(vb)).expect("created");
        }
        let next = engine.info(Vbid(0)).expect("there").high.0 + 1;
        for vb in 0..1024 {
            commit(&engine, Vbid(vb), &[set(next, "a", b"2")]).expect("committed");
        }
        for vb in (0..1024).rev() {
            assert_eq!(value(&engine, vb).expect("readable"), Some(b'2'));
        }
        for vb in [3, 500, 1023] {
            compact_to_end(&engine, Vbid(vb), CompactionRequest::default()).expect("compacted");
        }
        engine.close().expect("closed");
        drop(engine);
        assert!(disk.open_handles_max() <= 64 && disk.open_handles() == 0);
        disk.crash(PowerLoss::DropUnsynced);
    }
    let (engine, report) = open_with(&disk, config(40)).expect("opens");
    assert_eq!((report.vbuckets, report.unreadable.len()), (1024, 0));
    for vb in 0..1024 {
        assert_eq!(engine.info(Vbid(vb)).expect("there").high, Seqno(2));
    }
    assert!(engine.stats()["open-files"] <= 40);
}

#[test]
fn lack_of_handles_fails_the_operation_and_passes() {
    let (disk, engine) = store(4, 1);
    // Only vBucket 3's file is open. No other can be opened, and closing one does not help.
    disk.limit_handles(Some(0));
    for error in [
        value(&engine, 0).expect_err("closed"),
        commit(&engine, Vbid(1), &[set(2, "a", b"2")]).expect_err("closed"),
        engine.create(Vbid(9)).expect_err("a file"),
        engine
            .drop_vbucket(Vbid(2))
            .expect_err("its file would have no name"),
        engine
            .purge(Vbid(0), Seqno(1))
            .and(engine.rollback(Vbid(0), Seqno(0)).map(|_| Seqno(0)))
            .expect_err("closed"),
    ] {
        assert_eq!(error.kind(), "too-many-files", "{error}");
    }
    let mut job = engine
        .compact(Vbid(0), CompactionRequest::default())
        .expect("begun");
    assert_eq!(
        job.step(crate::contract::Budget::NONE)
            .expect_err("a file")
            .kind(),
        "too-many-files"
    );
    drop(job);
    disk.limit_handles(None);
    for vb in 0..4 {
        assert_eq!(contents(&engine, Vbid(vb)).len(), 1);
        commit(&engine, Vbid(vb), &[set(2, "a", b"2")]).expect("nothing is poisoned");
    }
    engine.create(Vbid(9)).expect("created");
    engine.drop_vbucket(Vbid(2)).expect("dropped");
    compact_to_end(&engine, Vbid(0), CompactionRequest::default()).expect("compacted");
    disk.limit_handles(Some(0));
    engine.close().expect("what is closed is durable");
}

/// The directory is open from the start: a name is durable, or was never made.
#[test]
fn directory_is_synced_without_a_new_handle() {
    let (disk, engine) = store(1, 8);
    // The new file takes the one handle more.
    disk.limit_handles(Some(disk.open_handles() + 1));
    engine.create(Vbid(1)).expect("created");
    commit(&engine, Vbid(1), &[set(1, "a", b"1")]).expect("nothing is poisoned");
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    disk.limit_handles(None);
    let (engine, _) = open_with(&disk, config(8)).expect("opens");
    assert_eq!(contents(&engine, Vbid(1)).len(), 1);
}

/// A file without a name lives as long as its handle: a snapshot's file stays open.
#[test]
fn snapshot_of_a_replaced_file_stays_readable() {
    let (_disk, engine) = store(6, 1);
    let compacted = engine.snapshot(Vbid(0)).expect("there");
    let dropped = engine.snapshot(Vbid(1)).expect("there");
    commit(&engine, Vbid(0), &[set(2, "a", b"2")]).expect("committed");
    compact_to_end(&engine, Vbid(0), CompactionRequest::default()).expect("compacted");
    engine.drop_vbucket(Vbid(1)).expect("dropped");
    for round in 0..3 {
        for vb in [0, 2, 3, 4, 5] {
            let _ = value(&engine, vb).expect("readable");
        }
        for snapshot in [&compacted, &dropped] {
            let slice = snapshot
                .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
                .expect("readable");
            assert_eq!(
                (slice.items.len(), slice.items[0].seqno),
                (1, Seqno(1)),
                "{round}"
            );
        }
    }
    assert!(
        engine.stats()["open-files"] <= 3,
        "two that are pinned, and one"
    );
    drop((compacted, dropped));
    let _ = value(&engine, 2).expect("readable");
    assert_eq!(engine.stats()["open-files"], 1);
}

/// Writes through a handle are durable before it is closed. Otherwise the handle stays, and the
/// file's next sync fails.
#[test]
fn handle_with_unsynced_writes_is_synced_before_it_is_closed() {
    let (disk, engine) = store(2, 1);
    let before = engine.info(Vbid(1)).expect("there").high;
    // vBucket 1's header was activated after its sync. A handle for another file takes a sync of
    // this one, which fails.
    disk.fail_sync(1);
    assert_eq!(value(&engine, 0).expect("readable"), Some(b'1'));
    let error = commit(&engine, Vbid(1), &[set(2, "a", b"2")]).expect_err("its sync failed");
    assert_eq!(error.kind(), "io", "{error}");
    assert_eq!(
        commit(&engine, Vbid(0), &[set(2, "a", b"2")])
            .expect_err("E5")
            .kind(),
        "poisoned"
    );
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open_with(&disk, config(1)).expect("opens");
    assert_eq!(engine.info(Vbid(1)).expect("there").high, before);
    assert_eq!(contents(&engine, Vbid(1)).len(), 1);
}

/// The same calls close the same files.
#[test]
fn least_recently_used_file_is_closed() {
    let (disk, engine) = store(3, 2);
    let (_, _) = (
        value(&engine, 0).expect("readable"),
        value(&engine, 2).expect("readable"),
    );
    // 0 and 2 are open, 0 for longer: 1 replaces it.
    let _ = value(&engine, 1).expect("readable");
    disk.limit_handles(Some(0));
    assert!(value(&engine, 1).is_ok() && value(&engine, 2).is_ok());
    assert_eq!(
        value(&engine, 0).expect_err("closed").kind(),
        "too-many-files"
    );
}

//! Compaction of a store into another (L42): the new store shows the same as the old, which stays
//! untouched; or it does not exist.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, VBucketState};

use crate::contract::{CompactionReport, Engine, EngineError, VBucketInfo};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk};
use crate::logstor::tests::life::{Pins, life, take};
use crate::logstor::tests::support::{
    A, B, Contents, IMAGES, SMALL, commit, commit_all, contents, delete, dir, in_collection, noise,
    open, open_with, set,
};
use crate::logstor::{LogDirectory, LogFinding, Logstor, check_store, compact_store};

const TARGET: &str = "/copy";

fn compact(disk: &FaultyDisk, purge_upto: Option<Seqno>) -> Result<CompactionReport, EngineError> {
    let mut findings: Vec<LogFinding> = Vec::new();
    let store = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut findings)?;
    compact_store(&store, Path::new(TARGET), purge_upto, &mut |_, _| {})
}

type Whole = BTreeMap<u16, (Contents, VBucketInfo, Option<VBucketState>)>;

fn whole(engine: &Logstor) -> Whole {
    let of = |vb| {
        let state = engine.snapshot(vb).expect("there").state().cloned();
        (contents(engine, vb), engine.info(vb).expect("there"), state)
    };
    engine
        .vbuckets()
        .into_iter()
        .map(|vb| (vb.0, of(vb)))
        .collect()
}

fn open_copy(disk: &FaultyDisk) -> Logstor {
    Logstor::open(Arc::new(disk.clone()), Path::new(TARGET), SMALL)
        .expect("opens")
        .0
}

/// Returns every byte of every file.
fn bytes_of(disk: &FaultyDisk, dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list(dir).unwrap_or_default();
    let files = names.into_iter().filter_map(|name| {
        let file = disk.open(&dir.join(&name), Access::ReadOnly).ok()?;
        let mut bytes = vec![0; file.len().expect("known") as usize];
        file.read_at(&mut bytes, 0).expect("read");
        Some((name, bytes))
    });
    files.collect()
}

fn remove_copy(disk: &FaultyDisk) {
    for name in disk.list(Path::new(TARGET)).expect("there") {
        disk.remove(&Path::new(TARGET).join(name)).expect("removed");
    }
}

/// Copies after every step of a life, while the store is open and goes on.
#[test]
fn copy_equals_the_store_at_every_moment_of_its_life() {
    for config in [SMALL, IMAGES] {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let (engine, _) = open_with(&disk, config).expect("opens");
        let mut pins = Pins::default();
        for (number, (step, _)) in life().into_iter().enumerate() {
            assert!(take(&engine, &mut pins, &step).expect("done"));
            let before = bytes_of(&disk, &dir());
            let report = compact(&disk, None).expect("copied");
            assert!(
                bytes_of(&disk, &dir()) == before,
                "step {number}: the old one is only read"
            );
            let copy = open_copy(&disk);
            let expected = whole(&engine);
            assert!(whole(&copy) == expected, "step {number}");
            assert_eq!(
                report.items_copied,
                expected
                    .values()
                    .map(|(rows, ..)| rows.len() as u64)
                    .sum::<u64>()
            );
            assert_eq!(copy.store.context.hash_key, engine.store.context.hash_key);
            assert_eq!(
                copy.store.log.segments.geometry(),
                engine.store.log.segments.geometry()
            );
            drop(copy);
            let mut findings: Vec<LogFinding> = Vec::new();
            check_store(Arc::new(disk.clone()), Path::new(TARGET), &mut findings)
                .expect("readable");
            assert_eq!(findings, []);
            remove_copy(&disk);
        }
    }
}

/// Makes two vBuckets of mostly dead records, with tombstones of which a purge spares one.
fn mostly_dead() -> FaultyDisk {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    for vb in [A, B] {
        engine.create(vb).expect("created");
        commit(
            &engine,
            vb,
            &[in_collection(8, delete(1, "spared")), delete(2, "gone")],
        )
        .expect("committed");
    }
    for n in 3..40 {
        let item = |seed| vec![set(n, &format!("key-{}", n % 4), &noise(seed, 9000))];
        assert!(
            commit_all(&engine, &[(A, item(n)), (B, item(n + 100))])
                .iter()
                .all(Result::is_ok)
        );
    }
    engine.close().expect("closed");
    disk
}

#[test]
fn copy_is_smaller_and_purged_as_requested() {
    let disk = mostly_dead();
    let before = whole(&open(&disk).expect("opens").0);
    let report = compact(&disk, Some(Seqno(9))).expect("copied");
    assert_eq!((report.tombstones_purged, report.items_copied), (2, 10));
    assert!(report.bytes_after * 2 < report.bytes_before, "{report:?}");
    let after = whole(&open_copy(&disk));
    for (vb, (rows, info, state)) in before {
        let (rows_now, info_now, state_now) = &after[&vb];
        let expected: Contents = rows.into_iter().filter(|&(seqno, _)| seqno != 2).collect();
        assert!(*rows_now == expected);
        assert_eq!((info_now.high, info_now.purge), (info.high, Seqno(2)));
        assert_eq!(
            state_now.clone().map(|now| VBucketState {
                purge_seqno: Seqno::ZERO,
                ..now
            }),
            state
        );
    }
    assert!(
        whole(&open(&disk).expect("opens").0)[&A.0]
            .0
            .contains_key(&2),
        "the old one has it still"
    );
}

#[test]
fn failed_copy_leaves_nothing() {
    let ios = |disk: &FaultyDisk, work: &dyn Fn()| {
        let before = disk.io_count();
        work();
        disk.io_count() - before
    };
    let disk = mostly_dead();
    let before = bytes_of(&disk, &dir());
    let count = ios(&disk, &|| assert!(compact(&disk, None).is_ok()));
    let copied = whole(&open_copy(&disk));
    remove_copy(&disk);
    let mut failed = 0;
    for nth in 1..=count {
        for fault in [Fault::Eio, Fault::Enospc] {
            disk.fail_io(nth, fault);
            let result = compact(&disk, None);
            disk.clear_faults();
            match result {
                Err(error) => {
                    assert!(
                        ["io", "no-space", "poisoned"].contains(&error.kind()),
                        "{error}"
                    );
                    failed += 1;
                    assert!(
                        disk.list(Path::new(TARGET)).unwrap_or_default().is_empty(),
                        "{fault:?} at {nth}"
                    );
                }
                // The failed operation was not needed.
                Ok(_) => {
                    assert!(whole(&open_copy(&disk)) == copied, "{fault:?} at {nth}");
                    remove_copy(&disk);
                }
            }
            assert!(bytes_of(&disk, &dir()) == before, "{fault:?} at {nth}");
        }
    }
    assert!(failed > count, "{failed} of {count} each");
}

#[test]
fn store_written_to_while_it_is_copied_is_reported_as_in_use() {
    let disk = mostly_dead();
    let (engine, _) = open(&disk).expect("opens");
    let store = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound");
    let mut seqno = 100;
    let copied = compact_store(&store, Path::new(TARGET), None, &mut |_, _| {
        seqno += 1;
        commit(&engine, A, &[set(seqno, "key-1", b"new")]).expect("committed");
    });
    assert_eq!(copied.expect_err("in use").kind(), "in-use");
    assert!(seqno > 100 && disk.list(Path::new(TARGET)).expect("there").is_empty());
}

#[test]
fn copy_replaces_nothing() {
    let disk = mostly_dead();
    disk.create_dir(Path::new(TARGET)).expect("made");
    drop(
        disk.create(&Path::new(TARGET).join("precious"))
            .expect("made"),
    );
    assert_eq!(compact(&disk, None).expect_err("taken").kind(), "io");
    assert_eq!(disk.list(Path::new(TARGET)).expect("there"), ["precious"]);
    let error = compact_store(
        &LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound"),
        &dir(),
        None,
        &mut |_, _| {},
    );
    assert!(error.is_err(), "into itself");
}

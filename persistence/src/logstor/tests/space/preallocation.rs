//! Preallocation: when files are made ahead and by which job, the state after a crash or a failure
//! in the middle of one, and a device without space.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Item;

use crate::contract::{Engine, EngineError, JobProgress};
use crate::disk::{Disk, Fault, FaultyDisk, MemoryDisk, MeteredDisk, PowerLoss};
use crate::logstor::tests::support::{
    A, Contents, SMALL, STEP, apply, audit, commit, contents, noise, open_with, run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

const SEGMENT_BYTES: u64 = 64 << 10;
/// A file has four segments. Five files are one segment more than is asked for.
const PREPARED: LogstorConfig = LogstorConfig {
    disk_bytes: u64::MAX,
    prepared_bytes: 18 * SEGMENT_BYTES + 1,
    ..SMALL
};

fn stat(engine: &Logstor, name: &str) -> u64 {
    engine.stats()[name]
}

fn upkeep(engine: &Logstor) -> Result<(), EngineError> {
    while let Some(job) = engine.maintenance() {
        run(job)?;
    }
    Ok(())
}

fn some(seqno: u64, bytes: usize) -> [Item; 1] {
    [set(
        seqno,
        &format!("key-{}", seqno % 10),
        &noise(seqno, bytes),
    )]
}

/// L43.
#[test]
fn configured_files_are_made_by_maintenance_and_no_commit_waits() {
    let disk = MeteredDisk::new(Arc::new(MemoryDisk::new()));
    let (engine, _) = open_with(&disk, PREPARED).expect("opens");
    engine.create(A).expect("created");
    assert_eq!(stat(&engine, "file-bytes"), 0, "opening makes none");
    assert_eq!(stat(&engine, "bytes-unprepared"), 19 * SEGMENT_BYTES);
    commit(&engine, A, &some(1, 100)).expect("committed");
    // The active segment, and the ones kept for deletions and for rewriting.
    assert_eq!(
        stat(&engine, "file-bytes"),
        8 * SEGMENT_BYTES,
        "a commit makes what it needs"
    );

    let mut jobs = 0;
    while let Some(mut job) = engine.maintenance() {
        let made = stat(&engine, "file-bytes");
        loop {
            let before = disk.stats();
            let progress = job.step(STEP).expect("works");
            let step = disk.stats().since(&before);
            // A slice of 256 KiB, and the rename of a complete file.
            assert!(
                step.written_bytes <= 256 << 10 && step.syncs <= 2,
                "{step:?}"
            );
            if let JobProgress::Done(_) = progress {
                break;
            }
        }
        jobs += 1;
        assert_eq!(
            stat(&engine, "file-bytes"),
            made + 4 * SEGMENT_BYTES,
            "a job a file"
        );
    }
    assert_eq!((jobs, stat(&engine, "bytes-unprepared")), (3, 0));
    assert_eq!(stat(&engine, "bytes-prepared"), 20 * SEGMENT_BYTES);

    // The existing segments are enough for these.
    for seqno in 2..50 {
        commit(&engine, A, &some(seqno, 6000)).expect("committed");
    }
    assert_eq!(stat(&engine, "bytes-prepared"), 20 * SEGMENT_BYTES);
    engine.close().expect("closed");

    // An existing file is not made again, and more can be asked for.
    let more = LogstorConfig {
        prepared_bytes: 30 * SEGMENT_BYTES,
        ..PREPARED
    };
    for (config, files) in [(PREPARED, 0), (more, 3)] {
        let (engine, _) = open_with(&disk, config).expect("opens");
        upkeep(&engine).expect("works");
        assert_eq!(stat(&engine, "bytes-prepared"), files * 4 * SEGMENT_BYTES);
        engine.close().expect("closed");
    }
}

#[test]
fn no_more_files_are_made_than_the_budget_allows() {
    for segments in [32, 33, 64] {
        let disk = MemoryDisk::new();
        let disk_bytes = segments * SEGMENT_BYTES;
        let config = LogstorConfig {
            disk_bytes,
            prepared_bytes: u64::MAX,
            ..SMALL
        };
        let (engine, _) = open_with(&disk, config).expect("opens");
        upkeep(&engine).expect("works");
        assert_eq!(
            (
                stat(&engine, "file-bytes"),
                stat(&engine, "bytes-unprepared")
            ),
            (disk_bytes, 0)
        );
        assert!(engine.maintenance().is_none());
    }
}

/// Runs a store with preallocation, and commits before, during and after it. Returns the
/// acknowledged commits.
fn prepares(disk: &FaultyDisk) -> (Contents, Result<(), EngineError>) {
    let mut acknowledged = Contents::new();
    let mut go = || {
        let (engine, _) = open_with(disk, PREPARED)?;
        engine.create(A)?;
        for seqno in 1..=6 {
            let batch = some(seqno, 3000);
            commit(&engine, A, &batch)?;
            acknowledged = apply(&acknowledged, &batch);
            if let Some(mut job) = engine.maintenance() {
                // The second job is dropped in the middle of its file, and later jobs continue it.
                let steps = if seqno == 2 { 1 } else { usize::MAX };
                for _ in 0..steps {
                    if let JobProgress::Done(_) = job.step(STEP)? {
                        break;
                    }
                }
            }
        }
        engine.close()
    };
    let result = go();
    (acknowledged, result)
}

fn has_its_room(disk: &FaultyDisk, acknowledged: &Contents, what: &str) {
    let (engine, _) = open_with(disk, PREPARED).unwrap_or_else(|error| panic!("{what}: {error}"));
    if engine.vbuckets().is_empty() {
        assert!(acknowledged.is_empty(), "{what}");
        engine.create(A).expect("created");
    }
    let found = contents(&engine, A);
    let is_next = found.len() == acknowledged.len() + 1
        && acknowledged.keys().all(|seqno| found.contains_key(seqno));
    assert!(found == *acknowledged || is_next, "{what}");
    upkeep(&engine).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(stat(&engine, "file-bytes"), 20 * SEGMENT_BYTES, "{what}");
    let high = engine.info(A).expect("there").high.0;
    commit(&engine, A, &some(high + 1, 3000)).unwrap_or_else(|error| panic!("{what}: {error}"));
    audit(&engine, true);
    engine.close().expect("closed");
    let (_, report) = open_with(disk, PREPARED).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(report.repairs, [], "{what}");
}

#[test]
fn power_loss_while_files_are_made_leaves_whole_files() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(prepares(&counting).1.is_ok());
    for nth in 1..=counting.io_count() {
        for keep in [
            PowerLoss::DropUnsynced,
            PowerLoss::KeepUnsynced,
            PowerLoss::Random { seed: nth },
        ] {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, result) = prepares(&disk);
            assert!(result.is_err());
            disk.crash(keep);
            has_its_room(
                &disk,
                &acknowledged,
                &format!("power off at {nth}, {keep:?}"),
            );
        }
    }
}

#[test]
fn failure_while_files_are_made_is_reported_and_harms_nothing() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(prepares(&counting).1.is_ok());
    for nth in 1..=counting.io_count() {
        for fault in [
            Fault::Eio,
            Fault::Enospc,
            Fault::Torn { bytes: 5000 },
            Fault::EioPersisted,
        ] {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, fault);
            let (acknowledged, _) = prepares(&disk);
            disk.clear_faults();
            has_its_room(&disk, &acknowledged, &format!("{fault:?} at {nth}"));
        }
    }
}

/// L44.
#[test]
fn full_device_is_reported_once_and_asked_again_later() {
    let disk = MemoryDisk::with_capacity_bytes(3 << 20);
    let ballast = Path::new("/ballast");
    let file = disk.create(ballast).expect("made");
    file.write_at(&[&vec![1; 1 << 20]], 0).expect("written");
    let config = LogstorConfig {
        prepared_bytes: 8 << 20,
        ..PREPARED
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    let error = upkeep(&engine).expect_err("there is no room for it");
    assert_eq!(error.kind(), "no-space");
    let made = stat(&engine, "file-bytes");
    assert!((1 << 20..2 << 20).contains(&made), "{made}");
    assert!(
        engine.maintenance().is_none(),
        "it is not told again and again"
    );

    // Each key has one live record. Maintenance and the commits free the dead ones.
    let (mut expected, mut seqno) = (Contents::new(), 0);
    let mut live = |engine: &Logstor, has_upkeep: bool, expected: &mut Contents| {
        let mut refused = 0;
        for _ in 0..400 {
            seqno += 1;
            let batch = some(seqno, 10_000);
            commit(engine, A, &batch).expect("there is room");
            *expected = apply(expected, &batch);
            refused += u64::from(has_upkeep && upkeep(engine).is_err());
        }
        refused
    };
    live(&engine, false, &mut expected);
    assert_eq!(stat(&engine, "file-bytes"), made);
    let before = stat(&engine, "bytes-written");
    let refused = live(&engine, true, &mut expected);
    assert_eq!(stat(&engine, "file-bytes"), made);
    let most = (stat(&engine, "bytes-written") - before) / (4 * SEGMENT_BYTES) + 1;
    assert!((2..=most).contains(&refused), "{refused}, {most}");

    // The device has space again.
    drop(file);
    disk.remove(ballast).expect("removed");
    disk.sync_dir(Path::new("/")).expect("synced");
    live(&engine, true, &mut expected);
    assert!(stat(&engine, "file-bytes") > made);
    assert_eq!(contents(&engine, A), expected);
    audit(&engine, true);
}

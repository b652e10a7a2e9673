//! The files of a compaction: those it creates and syncs, and that none is left behind.

use lowtide_checkpoint::{Datatype, Item, Seqno};

use crate::contract::{CompactionRequest, Engine, EngineError, EnginePoint, JobProgress};
use crate::couchstore::config::{CommitMode, CompactionConfig, CouchstoreConfig};
use crate::couchstore::tests::support::{VB, commit, contents, delete, dir, open, open_with, set};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk, PowerLoss};

use super::{POINTS, SMALL, batch, begin, compact, names, store, to_end, to_point};

#[test]
fn dropped_job_leaves_nothing() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let before = contents(&engine, VB);
    // Also in the middle of the stages.
    for steps in 0.. {
        let mut job = begin(&engine);
        let at = (0..steps)
            .map(|_| job.step(SMALL).expect("no failure"))
            .last();
        if at == Some(JobProgress::Reached(EnginePoint::CompactAfterRename)) {
            break;
        }
        drop(job);
        assert_eq!(names(&disk), ["7.couch.1"], "{at:?}");
        assert_eq!(contents(&engine, VB), before);
    }
    assert_eq!(
        names(&disk),
        ["7.couch.2"],
        "the new file is the vBucket's by then, and the old one goes as well"
    );
}

#[test]
fn drop_or_close_ends_the_job_and_removes_or_keeps_the_vbucket() {
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        point.inspect(|&point| to_point(&mut *job, point));
        engine.drop_vbucket(VB).expect("dropped");
        engine.create(VB).expect("created");
        assert!(
            matches!(
                to_end(&mut *job, SMALL),
                Err(EngineError::Aborted { vb: VB, .. })
            ),
            "{point:?}"
        );
        assert_eq!(names(&disk), ["7.couch.2"]);
        assert!(contents(&engine, VB).is_empty());

        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        engine.close().expect("closed");
        assert!(matches!(job.step(SMALL), Err(EngineError::Aborted { .. })));
        drop(job);
        assert_eq!(
            names(&disk),
            ["7.couch.2", "7.couch.3.compact"],
            "the next opening of the store removes it"
        );
        drop(engine);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(
            (names(&disk), report.repairs.len()),
            (vec!["7.couch.2".to_owned()], 1)
        );
        assert!(contents(&engine, VB).is_empty());
    }
}

#[test]
fn job_that_outlives_its_store_leaves_the_next_ones_files_alone() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut old = begin(&engine);
    old.step(SMALL).expect("no failure");
    engine.close().expect("closed");
    let (engine, _) = open(&disk).expect("opens");
    let mut new = begin(&engine);
    new.step(SMALL).expect("no failure");
    assert!(old.step(SMALL).is_err());
    drop(old);
    to_end(&mut *new, SMALL).expect("no failure");
    assert_eq!(names(&disk), ["7.couch.2"]);
}

/// A drop removes the newest name. An older one that still existed, or came back, would be taken
/// for the vBucket.
#[test]
fn replaced_file_does_not_come_back_after_a_drop() {
    for (keep, fails) in [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
        .into_iter()
        .chain((0..40).map(|seed| PowerLoss::Random { seed }))
        .flat_map(|keep| [(keep, false), (keep, true)])
    {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = store(&disk);
        let mut job = begin(&engine);
        to_point(&mut *job, POINTS[3]);
        if fails {
            disk.fail_io(1, Fault::Eio);
            assert!(
                to_end(&mut *job, SMALL).is_err(),
                "the old file can't be removed"
            );
            assert_eq!(names(&disk), ["7.couch.1", "7.couch.2"]);
            assert_eq!(contents(&engine, VB).len(), 30);
        } else {
            to_end(&mut *job, SMALL).expect("no failure");
        }
        engine.drop_vbucket(VB).expect("dropped");
        disk.crash(keep);
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert!(engine.vbuckets().is_empty(), "{keep:?}, {fails}");
    }
}

#[test]
fn interrupted_drop_leaves_the_newest_file_or_nothing() {
    let mut outcomes = std::collections::BTreeSet::new();
    for (io, seed) in (1..4).flat_map(|io| (0..40).map(move |seed| (io, seed))) {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = store(&disk);
        compact(&engine, VB, CompactionRequest::default());
        commit(&engine, VB, &batch(61)).expect("committed");
        let before = contents(&engine, VB);
        disk.power_off_at_io(io);
        let _ = engine.drop_vbucket(VB);
        drop(engine);
        disk.crash(PowerLoss::Random { seed });
        let (engine, _) = open(&disk).expect("opens");
        outcomes.insert(engine.vbuckets().len());
        assert!(
            engine.vbuckets().is_empty() || contents(&engine, VB) == before,
            "off at {io}, {seed}"
        );
    }
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn failed_sync_of_the_target_does_not_poison_the_store() {
    let config = CouchstoreConfig {
        compaction: CompactionConfig {
            sync_bytes: 1,
            ..CompactionConfig::DEFAULT
        },
        ..CouchstoreConfig::default()
    };
    let syncs = |disk: &FaultyDisk, nth: Option<u64>| {
        let (engine, _) = open_with(disk, config).expect("opens");
        let before = engine.stats()["syncs"];
        nth.inspect(|&nth| disk.fail_sync(nth));
        let result = to_end(&mut *begin(&engine), SMALL);
        let syncs = engine.stats()["syncs"] - before;
        let committed = commit(&engine, VB, &[set(1000, "z", b"z")]);
        (syncs, result, committed)
    };
    let disk = FaultyDisk::new(MemoryDisk::new());
    drop(store(&disk));
    let (all, result, _) = syncs(&disk, None);
    result.expect("no failure");
    assert!(all >= 3, "two of the target, one of the directory");
    for nth in 1..=all {
        let disk = FaultyDisk::new(MemoryDisk::new());
        drop(store(&disk));
        let (_, result, committed) = syncs(&disk, Some(nth));
        assert!(result.is_err());
        assert_eq!(
            committed.is_ok(),
            nth < all,
            "only the directory's sync, after the rename, concerns the store: {nth}"
        );
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(contents(&engine, VB).len(), 30 + usize::from(nth < all));
    }
}

#[test]
fn large_target_is_synced_while_it_grows() {
    let syncs = |sync_bytes| {
        let compaction = CompactionConfig {
            sync_bytes,
            ..CompactionConfig::DEFAULT
        };
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(
            &disk,
            CouchstoreConfig {
                compaction,
                ..CouchstoreConfig::default()
            },
        )
        .expect("opens");
        engine.create(VB).expect("created");
        for seqno in 1..9 {
            let large = Item {
                datatype: Datatype::SNAPPY,
                ..set(seqno, &format!("{seqno}"), &vec![7; 1 << 20])
            };
            commit(&engine, VB, &[large]).expect("committed");
        }
        let before = engine.stats()["syncs"];
        compact(&engine, VB, CompactionRequest::default());
        engine.stats()["syncs"] - before
    };
    assert_eq!((syncs(0), syncs(1 << 20), syncs(4 << 20)), (3, 11, 5));
}

#[test]
fn commit_without_activation_is_copied() {
    for commit_mode in [CommitMode::OneSync, CommitMode::TwoPhase] {
        let disk = MemoryDisk::new();
        let config = CouchstoreConfig {
            commit: commit_mode,
            ..CouchstoreConfig::default()
        };
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &batch(1)).expect("committed");
        let before = contents(&engine, VB);
        compact(&engine, VB, CompactionRequest::default());
        // The vendor's tools must find it at once.
        disk.crash(PowerLoss::DropUnsynced);
        let file = CouchFile::open_read_only(&disk, &dir().join("7.couch.2")).expect("opens");
        assert_eq!(file.header().info.high, Seqno(20));
        drop(engine);
        let (engine, report) = open(&disk).expect("opens");
        assert!(contents(&engine, VB) == before);
        let old = (
            dir().join("7.couch.1"),
            "superseded by a newer revision: removed".to_owned(),
        );
        assert_eq!(
            report.repairs,
            [old],
            "its removal was not durable; nothing else was to be repaired"
        );
    }
}

#[test]
fn commits_after_a_compaction_continue_normally() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    compact(&engine, VB, CompactionRequest::default());
    let path = dir().join("7.couch.2");
    let len = |disk: &MemoryDisk| {
        disk.open(&path, Access::ReadOnly)
            .expect("there")
            .len()
            .expect("known")
    };
    let compacted = len(&disk);
    commit(&engine, VB, &batch(61)).expect("committed");
    commit(&engine, VB, &[delete(81, "key-1")]).expect("committed");
    let expected = contents(&engine, VB);
    assert!(len(&disk) > compacted);
    disk.crash(PowerLoss::DropUnsynced);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), expected);
}

#[test]
fn leftovers_of_an_attempt_do_not_disturb_the_next() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, POINTS[2]);
    disk.fail_io(1, Fault::Eio);
    drop(job);
    assert_eq!(names(&disk), ["7.couch.1", "7.couch.2.compact"]);
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(names(&disk), ["7.couch.2"]);
}

#[test]
fn close_after_the_rename_leaves_the_old_file_to_the_next_opening() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, POINTS[3]);
    let before = contents(&engine, VB);
    engine.close().expect("closed");
    assert!(
        matches!(job.step(SMALL), Ok(JobProgress::Done(_))),
        "all that counts is done"
    );
    assert_eq!(names(&disk), ["7.couch.1", "7.couch.2"]);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(names(&disk), ["7.couch.2"]);
    assert_eq!(contents(&engine, VB), before);
}

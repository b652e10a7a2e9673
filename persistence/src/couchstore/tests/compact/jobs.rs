//! Jobs: points and steps, concurrent commits and reads, one at a time, and jobs without a request.

use std::sync::{Arc, mpsc};

use lowtide_checkpoint::{Datatype, Item, Namespace, Seqno, Vbid};

use crate::contract::{
    Budget, CompactionRequest, Engine, EngineError, EnginePoint, JobProgress, JobStage, ScanLimit,
};
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::tests::support::{VB, commit, contents, noise, open, open_with, set};
use crate::disk::{MemoryDisk, PowerLoss};

use super::{POINTS, SMALL, batch, begin, compact, names, store, to_end, to_next_point, to_point};

#[test]
fn commits_at_every_point_are_in_the_new_file() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    let mut next = 61;
    for point in POINTS {
        to_point(&mut *job, point);
        commit(&engine, VB, &batch(next)).expect("committed");
        next += 20;
    }
    let pinned = contents(&engine, VB);
    let report = to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(
        report.catch_up_rounds, 2,
        "one for each commit before the rename that came alone, or with another"
    );
    assert_eq!(names(&disk), ["7.couch.2"]);
    assert_eq!(contents(&engine, VB), pinned);
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), pinned);
}

#[test]
fn catch_up_in_small_steps_makes_no_larger_file() {
    let file_bytes = |budget| {
        let engine = store(&MemoryDisk::new());
        let mut job = begin(&engine);
        to_point(&mut *job, EnginePoint::CompactCopied);
        // One commit, so that there is one round.
        let items: Vec<Item> = (61..1_061)
            .map(|seqno| set(seqno, &format!("key-{}", seqno % 500), &noise(200)))
            .collect();
        commit(&engine, VB, &items).expect("committed");
        to_end(&mut *job, budget).expect("no failure");
        engine.stats()["file-bytes"]
    };
    let (small, large) = (
        file_bytes(Budget {
            items: 1,
            bytes: u64::MAX,
        }),
        file_bytes(Budget::NONE),
    );
    assert!(
        small <= large + large / 10,
        "{small} bytes in small steps, {large} in large ones"
    );
}

/// Found by reading: the progress between two rounds was in bytes of the file.
#[test]
fn catching_up_reports_its_progress_in_items() {
    let engine = store(&MemoryDisk::new());
    let mut job = begin(&engine);
    to_point(&mut *job, EnginePoint::CompactCopied);
    // Each commit has more bytes than the last round may have.
    let items = |first: u64| -> Vec<Item> {
        (first..first + 100)
            .map(|seqno| set(seqno, &format!("key-{seqno}"), &noise(20_000)))
            .collect()
    };
    commit(&engine, VB, &items(61)).expect("committed");
    job.step(SMALL).expect("the first round begins");
    commit(&engine, VB, &items(161)).expect("committed");
    let mut left = Vec::new();
    loop {
        match job.step(SMALL).expect("no failure") {
            JobProgress::Working {
                stage: JobStage::CatchingUp,
                of,
                ..
            } => left.push(of),
            JobProgress::Done(_) => break,
            _ => {}
        }
    }
    assert_eq!(left.iter().max(), Some(&100), "{left:?}");
}

#[test]
fn snapshot_keeps_its_file() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let before = contents(&engine, VB);
    let pinned = engine.snapshot(VB).expect("there");
    compact(
        &engine,
        VB,
        CompactionRequest {
            purge_upto: Some(Seqno::MAX),
            ..CompactionRequest::default()
        },
    );
    commit(&engine, VB, &batch(61)).expect("committed");
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(names(&disk), ["7.couch.3"]);
    let slice = pinned
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert!(slice.items.iter().eq(before.values()));
    let item = before.values().next().expect("some");
    assert_eq!(
        pinned
            .get(Namespace::Committed, &item.key)
            .expect("readable")
            .as_ref(),
        Some(item)
    );
}

#[test]
fn second_compaction_of_a_vbucket_is_refused() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    engine.create(Vbid(8)).expect("created");
    let mut job = begin(&engine);
    let refused = engine.compact(VB, CompactionRequest::default());
    assert!(matches!(
        refused,
        Err(EngineError::CompactionInProgress { vb: VB })
    ));
    compact(&engine, Vbid(8), CompactionRequest::default());
    to_end(&mut *job, SMALL).expect("no failure");
    let mut again = begin(&engine);
    to_point(&mut *again, EnginePoint::CompactCaughtUp);
    drop(again);
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(names(&disk), ["7.couch.3", "8.couch.2"]);
    assert!(matches!(
        engine.compact(Vbid(9), CompactionRequest::default()),
        Err(EngineError::UnknownVBucket { .. })
    ));
}

#[test]
fn fragmented_file_is_compacted_without_a_request() {
    let config = |fragmentation_percent| CouchstoreConfig {
        compaction: CompactionConfig {
            fragmentation_percent,
            file_bytes_min: 30_000,
            ..CompactionConfig::DEFAULT
        },
        ..CouchstoreConfig::default()
    };
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config(Some(50))).expect("opens");
    for vb in [VB, Vbid(8), Vbid(9)] {
        engine.create(vb).expect("created");
    }
    assert!(engine.maintenance().is_none(), "small files are let be");
    let rewrite = |vb, times: u64| {
        let high = engine.info(vb).expect("there").high.0;
        for seqno in high + 1..=high + times {
            commit(&engine, vb, &[set(seqno, "key", &noise(2000))]).expect("committed");
        }
    };
    commit(&engine, Vbid(9), &[set(1, "large", &noise(60_000))]).expect("committed");
    assert!(engine.maintenance().is_none(), "all of it lives");
    rewrite(VB, 20);
    rewrite(Vbid(8), 30);
    let mut first = engine.maintenance().expect("two are due");
    let mut second = engine
        .maintenance()
        .expect("one is being compacted, the other is due");
    assert!(engine.maintenance().is_none(), "both are being compacted");
    to_end(&mut *first, SMALL).expect("no failure");
    assert_eq!(
        names(&disk),
        ["7.couch.1", "8.couch.2", "9.couch.1"],
        "the one that gains most comes first"
    );
    to_end(&mut *second, SMALL).expect("no failure");
    assert!(engine.maintenance().is_none());
    assert_eq!(engine.stats()["compactions"], 2);
    drop((first, second));
    engine.close().expect("closed");
    let (engine, _) = open_with(&disk, config(None)).expect("opens");
    for seqno in 100..130 {
        commit(&engine, VB, &[set(seqno, "key", &noise(2000))]).expect("committed");
    }
    assert!(engine.maintenance().is_none(), "it is off");
}

#[test]
fn compaction_step_is_bounded() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let steps = |items| {
        let mut job = begin(&engine);
        let mut steps = 0;
        while !matches!(
            job.step(Budget {
                items,
                bytes: u64::MAX
            })
            .expect("no failure"),
            JobProgress::Done(_)
        ) {
            steps += 1;
        }
        steps
    };
    // Thirty items are copied, verified and indexed. The rest takes a few steps.
    assert!(steps(1) >= 60);
    let few = steps(4);
    assert!((18..36).contains(&few), "{few}");
    assert!(steps(usize::MAX) < 10);
}

#[test]
fn catch_up_ends_under_constant_commits() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, POINTS[0]);
    let large = |seqno| Item {
        datatype: Datatype::SNAPPY,
        ..set(seqno, "large", &vec![seqno as u8; 1500 << 10])
    };
    let (mut seqno, mut rounds) = (61, 0);
    // More is committed during every round than the last one may have. In the end commits are
    // blocked, and it completes.
    let report = loop {
        commit(&engine, VB, &[large(seqno)]).expect("committed");
        seqno += 1;
        match job.step(Budget::NONE).expect("no failure") {
            JobProgress::Done(report) => break report,
            _ => rounds += 1,
        }
    };
    assert!((10..14).contains(&report.catch_up_rounds), "{report:?}");
    assert!(rounds < 40);
    assert_eq!(engine.info(VB).expect("there").high, Seqno(seqno - 1));
    let expected = contents(&engine, VB);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), expected);
}

#[test]
fn threads_commit_read_and_compact_concurrently() {
    let disk = MemoryDisk::new();
    let engine = Arc::new(store(&disk));
    let writer = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            for seqno in 100..400 {
                commit(
                    &*engine,
                    VB,
                    &[set(2 * seqno, "a", b"x"), set(2 * seqno + 1, "b", b"y")],
                )
                .expect("committed");
            }
        })
    };
    let compactor = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            for _ in 0..10 {
                to_end(&mut *begin(&*engine), SMALL).expect("no failure");
            }
        })
    };
    while !(writer.is_finished() && compactor.is_finished()) {
        let found: Vec<u64> = contents(&*engine, VB)
            .into_keys()
            .filter(|&seqno| seqno >= 200)
            .collect();
        assert!(
            matches!(found[..], []) || matches!(found[..], [a, b] if a % 2 == 0 && b == a + 1),
            "{found:?}"
        );
    }
    writer.join().expect("no panic");
    compactor.join().expect("no panic");
    assert_eq!(engine.info(VB).expect("there").high, Seqno(799));
    assert_eq!(engine.stats()["compactions"], 10);
    let expected = contents(&*engine, VB);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), expected);
}

#[test]
fn job_reports_its_progress() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    let (mut stages, mut points) = (Vec::new(), Vec::new());
    let report = loop {
        match job.step(SMALL).expect("no failure") {
            JobProgress::Working { stage, done, of } => {
                assert!(done <= of, "{stage} {done} {of}");
                stages.push(stage);
            }
            JobProgress::Reached(point) => points.push(point),
            JobProgress::Ahead => panic!("its commits have the file to themselves"),
            JobProgress::Done(report) => break report,
        }
    };
    stages.dedup();
    assert_eq!(stages, [JobStage::Copying, JobStage::Indexing]);
    assert_eq!(points, POINTS);
    assert_eq!((report.items_copied, report.catch_up_rounds), (30, 0));
    assert!(report.bytes_after < report.bytes_before, "{report:?}");
    assert!(
        matches!(
            to_next_point(&mut *job, SMALL),
            Err(EngineError::Aborted { .. })
        ),
        "it is over"
    );
}

/// E28. A second pass copies the commits during the first. Of a key that was copied twice the newer
/// row counts.
#[test]
fn commits_during_the_copy_are_copied_before_indexing() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    for from in [61, 81] {
        job.step(SMALL).expect("no failure");
        commit(&engine, VB, &batch(from)).expect("committed");
    }
    to_point(&mut *job, POINTS[0]);
    let report = to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(
        (report.items_copied, report.catch_up_rounds),
        (30 + 30, 0),
        "no tree was changed"
    );
    let found = contents(&engine, VB);
    assert_eq!(
        found.keys().copied().collect::<Vec<_>>(),
        (71..101).collect::<Vec<_>>()
    );
}

/// E29. Found by measuring: each step waited for the commit that was being synced. The test would
/// hang here.
#[test]
fn compaction_step_does_not_wait_for_a_commit() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    let vbucket = engine.vbucket(VB).expect("there");
    let (locked, is_locked) = mpsc::channel();
    let (release, is_released) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _held = vbucket.hold_up_commits();
            locked.send(()).expect("the test waits");
            is_released.recv().expect("the test releases it");
        });
        is_locked.recv().expect("the thread holds it");
        to_point(&mut *job, EnginePoint::CompactBeforeRename);
        release.send(()).expect("the thread waits");
    });
    to_end(&mut *job, SMALL).expect("no failure");
}

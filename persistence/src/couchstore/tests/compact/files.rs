//! Jobs and files: one at a time, nothing left behind, nobody disturbed.

use std::sync::Arc;

use checkpoint::{Datatype, Item, Namespace, Seqno, Vbid};

use crate::couchstore::{CommitMode, CompactionConfig, CouchFile, CouchstoreConfig};
use crate::disk::{Access, Disk, Fault, FaultyDisk, Keep, MemoryDisk};
use crate::{Budget, CompactionRequest, Engine, EngineError, Progress, ScanLimit};

use super::super::crash::noise;
use super::super::support::{VB, commit, contents, delete, dir, open, open_with, set};
use super::{SMALL, begin, compact, to_end, to_next_point, to_point};

fn names(disk: &dyn Disk) -> Vec<String> {
    disk.list(&dir()).expect("listed")
}

fn batch(from: u64) -> Vec<Item> {
    (from..from + 20).map(|seqno| set(seqno, &format!("key-{}", seqno % 30), &noise(200))).collect()
}

fn store(disk: &(impl Disk + Clone + 'static)) -> crate::couchstore::Couchstore {
    let (engine, _) = open(disk).expect("opens");
    engine.create(VB).expect("created");
    for from in [1, 21, 41] {
        commit(&engine, VB, &batch(from)).expect("committed");
    }
    engine
}

const POINTS: [&str; 4] =
    ["compact-copied", "compact-caught-up", "compact-before-rename", "compact-after-rename"];

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
    disk.crash(Keep::None);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), pinned);
}

#[test]
fn a_snapshot_keeps_the_file_it_was_taken_of() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let before = contents(&engine, VB);
    let pinned = engine.snapshot(VB).expect("there");
    compact(&engine, VB, CompactionRequest { purge_upto: Some(Seqno::MAX), ..CompactionRequest::default() });
    commit(&engine, VB, &batch(61)).expect("committed");
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(names(&disk), ["7.couch.3"]);
    let slice = pinned.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE).expect("readable");
    assert!(slice.items.iter().eq(before.values()));
    let item = before.values().next().expect("some");
    assert_eq!(pinned.get(Namespace::Committed, &item.key).expect("readable").as_ref(), Some(item));
}

#[test]
fn one_compaction_of_a_vbucket_at_a_time() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    engine.create(Vbid(8)).expect("created");
    let mut job = begin(&engine);
    let refused = engine.compact(VB, CompactionRequest::default());
    assert!(matches!(refused, Err(EngineError::CompactionInProgress { vb: VB })));
    compact(&engine, Vbid(8), CompactionRequest::default());
    to_end(&mut *job, SMALL).expect("no failure");
    let mut again = begin(&engine);
    to_point(&mut *again, "compact-caught-up");
    drop(again);
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(names(&disk), ["7.couch.3", "8.couch.2"]);
    assert!(matches!(
        engine.compact(Vbid(9), CompactionRequest::default()),
        Err(EngineError::UnknownVBucket { .. })
    ));
}

#[test]
fn a_job_that_is_dropped_leaves_nothing() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let before = contents(&engine, VB);
    // Also in the middle of the stages.
    for steps in 0.. {
        let mut job = begin(&engine);
        let at = (0..steps).map(|_| job.step(SMALL).expect("no failure")).last();
        if at == Some(Progress::Reached("compact-after-rename")) {
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
fn a_drop_or_a_close_ends_the_job_and_the_vbucket_is_gone_or_kept_whole() {
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        point.inspect(|point| to_point(&mut *job, point));
        engine.drop_vbucket(VB).expect("dropped");
        engine.create(VB).expect("created");
        assert!(matches!(to_end(&mut *job, SMALL), Err(EngineError::Aborted { vb: VB, .. })), "{point:?}");
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
            "whoever opens the store next removes it"
        );
        drop(engine);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!((names(&disk), report.repairs.len()), (vec!["7.couch.2".to_owned()], 1));
        assert!(contents(&engine, VB).is_empty());
    }
}

#[test]
fn a_job_that_outlives_its_store_does_not_touch_the_next_ones_files() {
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

/// A drop takes away the newest name. Were an older one still there, or to come back, it would be taken for the
/// vBucket.
#[test]
fn what_a_compaction_replaced_does_not_come_back_after_a_drop() {
    for (keep, fails) in [Keep::None, Keep::All]
        .into_iter()
        .chain((0..40).map(|seed| Keep::Random { seed }))
        .flat_map(|keep| [(keep, false), (keep, true)])
    {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = store(&disk);
        let mut job = begin(&engine);
        to_point(&mut *job, POINTS[3]);
        if fails {
            disk.fail_io(1, Fault::Eio);
            assert!(to_end(&mut *job, SMALL).is_err(), "the old file can't be removed");
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
fn a_drop_that_power_cuts_short_leaves_all_of_the_newest_or_nothing() {
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
        disk.crash(Keep::Random { seed });
        let (engine, _) = open(&disk).expect("opens");
        outcomes.insert(engine.vbuckets().len());
        assert!(engine.vbuckets().is_empty() || contents(&engine, VB) == before, "off at {io}, {seed}");
    }
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_failed_sync_of_the_target_is_not_the_stores() {
    let config = CouchstoreConfig {
        compaction: CompactionConfig { sync_bytes: 1, ..CompactionConfig::DEFAULT },
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
fn a_large_target_is_synced_on_the_way() {
    let syncs = |sync_bytes| {
        let compaction = CompactionConfig { sync_bytes, ..CompactionConfig::DEFAULT };
        let disk = MemoryDisk::new();
        let (engine, _) =
            open_with(&disk, CouchstoreConfig { compaction, ..CouchstoreConfig::default() }).expect("opens");
        engine.create(VB).expect("created");
        for seqno in 1..9 {
            let large =
                Item { datatype: Datatype::SNAPPY, ..set(seqno, &format!("{seqno}"), &vec![7; 1 << 20]) };
            commit(&engine, VB, &[large]).expect("committed");
        }
        let before = engine.stats()["syncs"];
        compact(&engine, VB, CompactionRequest::default());
        engine.stats()["syncs"] - before
    };
    assert_eq!((syncs(0), syncs(1 << 20), syncs(4 << 20)), (3, 11, 5));
}

#[test]
fn a_commit_whose_header_is_not_activated_is_copied() {
    for commit_mode in [CommitMode::OneSync, CommitMode::TwoPhase] {
        let disk = MemoryDisk::new();
        let config = CouchstoreConfig { commit: commit_mode, ..CouchstoreConfig::default() };
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &batch(1)).expect("committed");
        let before = contents(&engine, VB);
        compact(&engine, VB, CompactionRequest::default());
        // The vendor's tools must find it at once.
        disk.crash(Keep::None);
        let file = CouchFile::open_read_only(&disk, &dir().join("7.couch.2")).expect("opens");
        assert_eq!(file.header().info.high, Seqno(20));
        drop(engine);
        let (engine, report) = open(&disk).expect("opens");
        assert!(contents(&engine, VB) == before);
        let old = (dir().join("7.couch.1"), "a newer revision is there: removed".to_owned());
        assert_eq!(report.repairs, [old], "its removal was not durable; nothing else was to be repaired");
    }
}

#[test]
fn commits_go_on_as_if_in_any_file() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    compact(&engine, VB, CompactionRequest::default());
    let path = dir().join("7.couch.2");
    let len = |disk: &MemoryDisk| disk.open(&path, Access::ReadOnly).expect("there").len().expect("known");
    let compacted = len(&disk);
    commit(&engine, VB, &batch(61)).expect("committed");
    commit(&engine, VB, &[delete(81, "key-1")]).expect("committed");
    let expected = contents(&engine, VB);
    assert!(len(&disk) > compacted);
    disk.crash(Keep::None);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, VB), expected);
}

#[test]
fn fragmented_files_are_compacted_by_themselves() {
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
    let mut second = engine.maintenance().expect("one is being compacted, the other is due");
    assert!(engine.maintenance().is_none(), "both are being compacted");
    to_end(&mut *first, SMALL).expect("no failure");
    assert_eq!(names(&disk), ["7.couch.1", "8.couch.2", "9.couch.1"], "the one that gains most comes first");
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
fn a_step_is_bounded() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let steps = |items| {
        let mut job = begin(&engine);
        let mut steps = 0;
        while !matches!(job.step(Budget { items, bytes: u64::MAX }).expect("no failure"), Progress::Done(_)) {
            steps += 1;
        }
        steps
    };
    // Thirty items are copied and indexed; what else there is takes a few steps.
    assert!(steps(1) >= 60);
    assert!((18..30).contains(&steps(4)));
    assert!(steps(usize::MAX) < 10);
}

#[test]
fn what_is_far_behind_is_caught_up_with_in_rounds_and_an_end_comes() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, POINTS[0]);
    let large =
        |seqno| Item { datatype: Datatype::SNAPPY, ..set(seqno, "large", &vec![seqno as u8; 1500 << 10]) };
    let (mut seqno, mut rounds) = (61, 0);
    // More comes in with every round than the last one may have: held up at last, commits don't keep it from ending.
    let report = loop {
        commit(&engine, VB, &[large(seqno)]).expect("committed");
        seqno += 1;
        match job.step(Budget::NONE).expect("no failure") {
            Progress::Done(report) => break report,
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
fn leftovers_of_an_attempt_do_not_hinder_the_next() {
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
fn threads_commit_read_and_compact_at_once() {
    let disk = MemoryDisk::new();
    let engine = Arc::new(store(&disk));
    let writer = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            for seqno in 100..400 {
                commit(&*engine, VB, &[set(2 * seqno, "a", b"x"), set(2 * seqno + 1, "b", b"y")])
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
        let found: Vec<u64> = contents(&*engine, VB).into_keys().filter(|&seqno| seqno >= 200).collect();
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
fn a_job_says_how_far_it_is() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    let mut stages = Vec::new();
    let report = loop {
        match job.step(SMALL).expect("no failure") {
            Progress::Working { stage, done, of } => {
                assert!(done <= of, "{stage} {done} {of}");
                stages.push(stage);
            }
            Progress::Reached(point) => stages.push(point),
            Progress::Done(report) => break report,
        }
    };
    stages.dedup();
    assert_eq!(stages, [&["copying", "indexing"][..], &POINTS].concat());
    assert_eq!((report.items_copied, report.catch_up_rounds), (30, 0));
    assert!(report.bytes_after < report.bytes_before, "{report:?}");
    assert!(matches!(to_next_point(&mut *job, SMALL), Err(EngineError::Aborted { .. })), "it is over");
}

//! Rollbacks and purges during and after compactions. A job of an abandoned history ends, a job
//! during a purge does not, and a rollback in a new file finds only what was committed.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Operation, Seqno, VBucketState, Vbid};

use crate::contract::{
    Budget, CommitBatch, Engine, EngineError, EnginePoint, JobProgress, RolledBack,
};
use crate::couchstore::tests::reference_model;
use crate::couchstore::tests::support::{VB, commit, delete, open, set, state};
use crate::disk::{MemoryDisk, PowerLoss};

use super::{POINTS, SMALL, batch, begin, names, store, to_end, to_point};

#[test]
fn rollback_before_the_rename_ends_the_job() {
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        commit(&engine, VB, &[delete(61, "key-1"), set(62, "key-2", b"62")]).expect("committed");
        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        point.inspect(|&point| to_point(&mut *job, point));
        assert_eq!(reference_model::rollback(&engine, 45), 40);
        let expected = reference_model::now(&engine);
        assert!(
            matches!(
                to_end(&mut *job, SMALL),
                Err(EngineError::Aborted { vb: VB, .. })
            ),
            "{point:?}"
        );
        assert_eq!(names(&disk), ["7.couch.1"], "{point:?}");
        assert_eq!(reference_model::now(&engine), expected, "{point:?}");
        commit(&engine, VB, &batch(63)).expect("committed");
        let expected = reference_model::now(&engine);
        to_end(&mut *begin(&engine), SMALL).expect("no failure");
        assert_eq!(reference_model::now(&engine), expected, "{point:?}");
        drop((job, engine));
        disk.crash(PowerLoss::DropUnsynced);
        assert_eq!(
            reference_model::now(&open(&disk).expect("opens").0),
            expected,
            "{point:?}"
        );
    }
}

/// E14, E16: purged rows are in no new file, at whatever stage the compaction was, and no later
/// commit is missing.
#[test]
fn purge_during_a_compaction_lets_it_continue_and_stays_effective() {
    let abort = |seqno, key: &[u8]| Item {
        seqno: Seqno(seqno),
        ..Item::new(Operation::Abort, Key::new(key))
    };
    let prepare = |seqno, key: &[u8]| Item {
        seqno: Seqno(seqno),
        value: Some(Bytes::from_static(b"prepared")),
        ..Item::new(Operation::Prepare, Key::new(key))
    };
    // The compaction has copied a live row of key-7, and key-1 is a tombstone by then. Both come
    // back later.
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        for (spare, back) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("{point:?}, {spare}, {back}");
            let disk = MemoryDisk::new();
            let engine = store(&disk);
            commit(
                &engine,
                VB,
                &[
                    delete(61, "key-1"),
                    prepare(62, b"p"),
                    set(63, "key-2", b"63"),
                ],
            )
            .expect("committed");
            let mut job = begin(&engine);
            job.step(SMALL).expect("no failure");
            point.inspect(|&point| to_point(&mut *job, point));
            let mut deletions = vec![delete(64, "key-7"), abort(65, b"p"), delete(66, "new")];
            deletions.extend((!spare).then(|| set(67, "key-3", b"67")));
            commit(&engine, VB, &deletions).expect("committed");
            let highest = if spare { 65 } else { 66 };
            assert_eq!(
                engine.purge(VB, Seqno::MAX).expect("purged"),
                Seqno(highest),
                "{what}"
            );
            if spare {
                // The next purge takes what this one spared, but its seqno does not rise above what
                // was purged by then.
                commit(&engine, VB, &[set(67, "key-3", b"67")]).expect("committed");
                assert_eq!(
                    engine.purge(VB, Seqno::MAX).expect("purged"),
                    Seqno(66),
                    "{what}"
                );
            }
            if back {
                commit(
                    &engine,
                    VB,
                    &[set(68, "key-1", b"back"), set(69, "key-7", b"back")],
                )
                .expect("committed");
            }
            let expected = reference_model::now(&engine);
            assert_eq!(
                [61, 64, 65, 66].map(|seqno| expected.rows.contains_key(&seqno)),
                [false; 4],
                "{what}"
            );
            to_end(&mut *job, SMALL).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(names(&disk), ["7.couch.2"], "{what}");
            assert_eq!(reference_model::now(&engine), expected, "{what}");
            drop((job, engine));
            disk.crash(PowerLoss::DropUnsynced);
            assert_eq!(
                reference_model::now(&open(&disk).expect("opens").0),
                expected,
                "{what}"
            );
        }
    }
}

/// A purge is committed while rows are still copied, and a key is set again before the copy ends:
/// the later row stays.
#[test]
fn key_set_again_after_a_purge_during_the_copy_stays() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    job.step(SMALL).expect("no failure");
    commit(
        &engine,
        VB,
        &[
            delete(61, "key-1"),
            delete(62, "key-2"),
            set(63, "key-3", b"63"),
        ],
    )
    .expect("committed");
    assert_eq!(engine.purge(VB, Seqno::MAX).expect("purged"), Seqno(62));
    // Another pass copies these before the indexes are built.
    commit(
        &engine,
        VB,
        &[set(64, "key-2", b"back"), set(65, "key-4", b"65")],
    )
    .expect("committed");
    to_point(&mut *job, POINTS[0]);
    let expected = reference_model::now(&engine);
    to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(reference_model::now(&engine), expected);
    assert!(expected.rows.contains_key(&64) && !expected.rows.contains_key(&62));
    drop((job, engine));
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        reference_model::now(&open(&disk).expect("opens").0),
        expected
    );
}

/// The log of purges is bounded: a larger purge ends the compaction, and the next one succeeds.
#[test]
fn purge_larger_than_the_log_ends_the_job() {
    const KEYS: u64 = 32_000;
    for (keys, ends) in [(KEYS / 2, false), (KEYS, true)] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        let long = "x".repeat(230);
        let mut deletions: Vec<Item> = (0..keys)
            .map(|n| delete(61 + n, &format!("{long}-{n:06}")))
            .collect();
        deletions.push(set(61 + keys, "last", b""));
        commit(&engine, VB, &deletions).expect("committed");
        let mut job = begin(&engine);
        to_point(&mut *job, POINTS[1]);
        assert_eq!(
            engine.purge(VB, Seqno::MAX).expect("purged"),
            Seqno(60 + keys)
        );
        let expected = reference_model::now(&engine);
        let ended = to_end(&mut *job, Budget::NONE);
        assert_eq!(
            matches!(ended, Err(EngineError::Aborted { vb: VB, .. })),
            ends,
            "{ended:?}"
        );
        drop(job);
        to_end(&mut *begin(&engine), Budget::NONE).expect("no failure");
        assert_eq!(reference_model::now(&engine), expected);
    }
}

/// E14: a purge that removes nothing, or is of another vBucket, does not affect the job.
#[test]
fn purge_of_nothing_or_another_vbucket_does_not_affect_the_job() {
    const OTHER: Vbid = Vbid(8);
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        commit(&engine, VB, &[delete(61, "key-1")]).expect("committed");
        engine.create(OTHER).expect("created");
        commit(&engine, OTHER, &[delete(1, "a"), set(2, "b", b"2")]).expect("committed");
        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        point.inspect(|&point| to_point(&mut *job, point));
        // The highest seqno stays: there is nothing else to purge.
        assert_eq!(engine.purge(VB, Seqno::MAX).expect("purged"), Seqno::ZERO);
        assert_eq!(engine.purge(OTHER, Seqno::MAX).expect("purged"), Seqno(1));
        let expected = reference_model::now(&engine);
        to_end(&mut *job, SMALL).expect("not ended by either");
        assert_eq!(reference_model::now(&engine), expected, "{point:?}");
    }
}

#[test]
fn rollback_after_the_rename_finds_the_new_file() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, EnginePoint::CompactAfterRename);
    let expected = reference_model::now(&engine);
    let rolled_back = engine.rollback(VB, Seqno(45)).expect("no failure");
    assert!(
        matches!(rolled_back, RolledBack::NeedsReset { lowest: Seqno(60) }),
        "{rolled_back:?}"
    );
    commit(&engine, VB, &batch(61)).expect("committed");
    assert_eq!(reference_model::rollback(&engine, 60), 60);
    assert_eq!(reference_model::now(&engine), expected);
    assert!(
        matches!(job.step(SMALL).expect("no failure"), JobProgress::Done(_)),
        "all that was left is to clean up"
    );
    assert_eq!(names(&disk), ["7.couch.2"]);
    drop((job, engine));
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        reference_model::now(&open(&disk).expect("opens").0),
        expected
    );
}

#[test]
fn rollback_in_a_new_file_of_two_headers_finds_only_commits() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let committed = reference_model::now(&engine);
    let mut job = begin(&engine);
    to_point(&mut *job, EnginePoint::CompactBeforeRename);
    // The last round adds both, behind the header that the target has by now.
    commit(&engine, VB, &batch(61)).expect("committed");
    commit(&engine, VB, &batch(81)).expect("committed");
    to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(reference_model::now(&engine).high, 100);
    assert_eq!(reference_model::rollback(&engine, 99), 60);
    assert_eq!(reference_model::now(&engine), committed);
    let refused = engine.rollback(VB, Seqno(59)).expect("no failure");
    assert!(
        matches!(refused, RolledBack::NeedsReset { lowest: Seqno(60) }),
        "{refused:?}"
    );
    drop((job, engine));
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        reference_model::now(&open(&disk).expect("opens").0),
        committed
    );
}

/// A replica learns it from its active without a purge of its own, and during a compaction.
#[test]
fn purge_seqno_of_a_batch_is_kept() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let bring = |seqno: u64, purge_seqno: u64| {
        let item = set(seqno, "brings", b"1");
        let state = VBucketState {
            purge_seqno: Seqno(purge_seqno),
            ..state(seqno)
        };
        let batch = CommitBatch {
            vb: VB,
            items: &[&item],
            state: &state,
            timestamp: 1,
        };
        engine.commit(&[batch]).pop().expect("one result a batch")
    };
    let purge_seqno = |engine: &dyn Engine| {
        let snapshot = engine.snapshot(VB).expect("there");
        let purge_seqno = engine.info(VB).expect("there").purge;
        assert_eq!(
            snapshot.state().expect("committed").purge_seqno,
            purge_seqno
        );
        purge_seqno.0
    };
    bring(61, 30).expect("committed");
    assert_eq!(purge_seqno(&engine), 30);
    bring(62, 20).expect("committed");
    assert_eq!(purge_seqno(&engine), 30, "it never falls");
    for beyond in [1 << 48, u64::MAX] {
        assert!(matches!(
            bring(63, beyond),
            Err(EngineError::InvalidArgument(_))
        ));
    }
    assert_eq!(
        (purge_seqno(&engine), engine.info(VB).expect("there").high),
        (30, Seqno(62))
    );
    let mut job = begin(&engine);
    to_point(&mut *job, EnginePoint::CompactCopied);
    bring(63, 40).expect("committed");
    to_point(&mut *job, EnginePoint::CompactBeforeRename);
    bring(64, 50).expect("committed");
    to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(
        (names(&disk), purge_seqno(&engine)),
        (vec!["7.couch.2".to_owned()], 50)
    );
    drop((job, engine));
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(purge_seqno(&engine), 50);
    assert_eq!(reference_model::rollback(&engine, 63), 63);
    assert_eq!(purge_seqno(&engine), 40, "that of the commit gone back to");
}

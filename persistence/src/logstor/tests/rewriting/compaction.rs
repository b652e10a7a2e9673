//! Compactions: their points, commits between them, and jobs that are dropped.

use lowtide_checkpoint::Seqno;

use super::stores::{POINTS, compact, fresh, overwritten, to_point};
use crate::contract::{CompactionRequest, Engine, EnginePoint, JobProgress};
use crate::disk::PowerLoss;
use crate::logstor::tests::support::{
    A, B, STEP, apply, audit, commit, contents, delete, noise, open, run, set,
};

#[test]
fn compaction_reaches_every_point() {
    let (_, engine) = fresh();
    overwritten(&engine);
    let points = run(compact(&engine, A)).expect("done");
    assert!(
        POINTS.iter().all(|point| points.contains(point)),
        "{points:?}"
    );
    assert_eq!(
        run(compact(&engine, A)).expect("done"),
        [],
        "there is nothing left to do"
    );
}

#[test]
fn commit_between_copy_and_install_wins() {
    for point in POINTS {
        let (disk, engine) = fresh();
        let [mut expected, other] = overwritten(&engine);
        let mut job = compact(&engine, A);
        assert!(to_point(&mut *job, point), "{point}");
        let batch: Vec<_> = (0..20)
            .map(|n| set(300 + n, &format!("key-{n}-1"), &noise(n, 300)))
            .chain([delete(400, "key-3-0")])
            .collect();
        commit(&engine, A, &batch).expect("committed");
        expected = apply(&expected, &batch);
        assert_eq!(contents(&engine, A), expected, "{point}");
        while !matches!(job.step(STEP).expect("no failure"), JobProgress::Done(_)) {}
        drop(job);
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            [expected.clone(), other.clone()],
            "{point}"
        );
        audit(&engine, true);
        drop(engine);
        disk.crash(PowerLoss::DropUnsynced);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            [expected, other],
            "{point}"
        );
    }
}

#[test]
fn job_dropped_at_any_step_leaves_the_store_sound() {
    for steps in 0..60 {
        let (disk, engine) = fresh();
        let expected = overwritten(&engine);
        let mut job = compact(&engine, A);
        for _ in 0..steps {
            job.step(STEP).expect("no failure");
        }
        drop(job);
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            expected,
            "{steps}"
        );
        audit(&engine, true);
        disk.crash(PowerLoss::Random { seed: steps });
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            expected,
            "{steps}"
        );
        run(compact(&engine, A)).expect("another one");
    }
}

#[test]
fn rolled_back_record_is_not_counted_for_another_with_its_seqno() {
    let (_, engine) = fresh();
    let before = engine.snapshot(A).expect("there");
    let first: Vec<_> = (0..4)
        .map(|n| set(n + 1, &format!("key-{n}"), b"1"))
        .collect();
    commit(&engine, A, &first).expect("committed");
    commit(&engine, B, &[set(1, "key", b"1")]).expect("committed");
    // A snapshot holds the ended branch: its records are copied.
    let ended = engine.snapshot(A).expect("there");
    engine.rollback(A, Seqno(0)).expect("pinned");
    let second = [
        set(1, "key-3", b"2"),
        delete(2, "key-0"),
        delete(3, "key-10"),
    ];
    commit(&engine, A, &second).expect("committed");
    assert_eq!(engine.purge(A, Seqno(2)).expect("purged"), Seqno(2));
    let mut job = compact(&engine, B);
    assert!(to_point(&mut *job, EnginePoint::CompactBeforeFree));
    drop(job);
    audit(&engine, false);
    drop((before, ended));
}

#[test]
fn second_compaction_of_a_vbucket_is_refused() {
    let (_, engine) = fresh();
    let job = compact(&engine, A);
    let second = engine.compact(A, CompactionRequest::default());
    assert_eq!(second.expect_err("one").kind(), "compaction-in-progress");
    drop(compact(&engine, B));
    drop(job);
    drop(compact(&engine, A));
    let request = CompactionRequest {
        purge_before: Some(1),
        ..CompactionRequest::default()
    };
    assert_eq!(
        engine.compact(A, request).expect_err("not here").kind(),
        "unsupported"
    );
}

//! Separating and compacting: what they do, at their points, beside commits, readers and purges.

use lowtide_checkpoint::{Seqno, Vbid};

use super::support::{
    A, B, Contents, SMALL, STEP, apply, audit, commit, commit_all, contents, contents_of, delete,
    noise, open, open_with, run, set, state,
};
use crate::contract::{Batch, CompactionRequest, Engine, Job, Progress};
use crate::disk::{Keep, MemoryDisk};
use crate::logstor::vbucket::{ReadBuffer, read_rows};
use crate::logstor::{Logstor, LogstorConfig};

fn fresh() -> (MemoryDisk, Logstor) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    (disk, engine)
}

fn compact(engine: &Logstor, vb: Vbid) -> Box<dyn Job> {
    engine
        .compact(vb, CompactionRequest::default())
        .expect("begun")
}

fn to_point(job: &mut dyn Job, point: &str) -> bool {
    loop {
        match job.step(STEP).expect("no failure") {
            Progress::Reached(reached) if reached == point => return true,
            Progress::Done(_) => return false,
            _ => {}
        }
    }
}

/// Twice the same keys in both vBuckets, so that half of it is dead.
fn overwritten(engine: &Logstor) -> [Contents; 2] {
    let mut expected = [Contents::new(), Contents::new()];
    for round in 0..2_u64 {
        for n in 0..20_u64 {
            let seqno = round * 100 + 3 * n + 1;
            let batch = |salt| {
                (0..3)
                    .map(|k| {
                        set(
                            seqno + k,
                            &format!("key-{n}-{k}"),
                            &noise(seqno + salt, 1400),
                        )
                    })
                    .collect::<Vec<_>>()
            };
            let batches = [(A, batch(0)), (B, batch(9))];
            assert!(commit_all(engine, &batches).iter().all(Result::is_ok));
            for (expected, (_, batch)) in expected.iter_mut().zip(&batches) {
                *expected = apply(expected, batch);
            }
        }
    }
    expected
}

const POINTS: [&str; 4] = [
    "after-index-before-separate",
    "after-write-before-index",
    "compact-after-copy",
    "compact-before-free",
];

#[test]
fn every_point_is_met() {
    let (_, engine) = fresh();
    overwritten(&engine);
    let points = run(compact(&engine, A)).expect("done");
    assert!(
        POINTS.iter().all(|point| points.contains(point)),
        "{points:?}"
    );
    assert_eq!(
        run(compact(&engine, A)).expect("done"),
        [""; 0],
        "there is nothing left to do"
    );
}

#[test]
fn separating_makes_segments_of_single_vbuckets() {
    let (disk, engine) = fresh();
    let expected = overwritten(&engine);
    run(engine.separate().expect("begun")).expect("done");
    let mixed = engine.store.log.segments.closed();
    assert!(
        mixed.iter().all(|(_, closed)| closed.owner.is_some()),
        "{mixed:?}"
    );
    assert_eq!([contents(&engine, A), contents(&engine, B)], expected);
    audit(&engine, true);
    let stats = engine.stats();
    assert!(
        stats["records-rewritten"] < 140,
        "what is dead is left behind: {stats:?}"
    );
    drop(engine);
    disk.crash(Keep::None);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!([contents(&engine, A), contents(&engine, B)], expected);
    audit(&engine, true);
}

#[test]
fn a_record_that_was_rolled_back_is_not_counted_for_another_with_its_seqno() {
    let (_, engine) = fresh();
    let before = engine.snapshot(A).expect("there");
    let first: Vec<_> = (0..4)
        .map(|n| set(n + 1, &format!("key-{n}"), b"1"))
        .collect();
    commit(&engine, A, &first).expect("committed");
    commit(&engine, B, &[set(1, "key", b"1")]).expect("committed");
    // The branch that ends here is still somebody's: its records are copied.
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
    assert!(to_point(&mut *job, "compact-before-free"));
    drop(job);
    audit(&engine, false);
    drop((before, ended));
}

#[test]
fn what_is_mixed_for_long_is_separated() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        mixed_segments_max: usize::MAX,
        garbage_percent: None,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    let at = |vb, n: u64, seconds: u64| {
        let item = set(n, &format!("key-{n}"), &noise(n, 3000));
        let (state, timestamp) = (state(n), seconds * 1_000_000_000);
        let batch = Batch {
            vb,
            items: &[&item],
            state: &state,
            timestamp,
        };
        assert!(engine.commit(&[batch]).iter().all(Result::is_ok));
    };
    for n in 1..=40 {
        at(if n % 2 == 0 { A } else { B }, n, 1000 + n);
    }
    let separates = || {
        let mut jobs = std::iter::from_fn(|| engine.maintenance());
        jobs.any(|job| {
            run(job)
                .expect("done")
                .contains(&"after-index-before-separate")
        })
    };
    assert!(!separates(), "all of it is young");
    at(A, 41, 1600);
    assert!(!separates(), "the oldest is not old enough yet");
    at(A, 42, 1601);
    assert!(separates(), "the oldest is 600 seconds old");
    assert!(!separates(), "once is enough");
    // A segment that never fills is no exception.
    at(B, 43, 1700);
    at(A, 44, 2299);
    assert!(!separates());
    at(A, 45, 2300);
    assert!(separates());
    audit(&engine, true);
}

#[test]
fn a_segment_of_one_vbucket_is_adopted() {
    let (_, engine) = fresh();
    for n in 0..60_u64 {
        commit(
            &engine,
            A,
            &[set(n + 1, &format!("key-{n}"), &noise(n, 5000))],
        )
        .expect("committed");
    }
    run(engine.separate().expect("begun")).expect("done");
    let stats = engine.stats();
    assert_eq!(stats["records-rewritten"], 0);
    assert!(stats["segments-adopted"] >= 5, "{stats:?}");
}

#[test]
fn commits_between_copy_and_swap_win() {
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
        while !matches!(job.step(STEP).expect("no failure"), Progress::Done(_)) {}
        drop(job);
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            [expected.clone(), other.clone()],
            "{point}"
        );
        audit(&engine, true);
        drop(engine);
        disk.crash(Keep::None);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            [contents(&engine, A), contents(&engine, B)],
            [expected, other],
            "{point}"
        );
    }
}

#[test]
fn a_job_that_is_dropped_anywhere_leaves_the_store_sound() {
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
        disk.crash(Keep::Random { seed: steps });
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
fn a_snapshot_keeps_what_it_shows_whatever_is_rewritten() {
    let (_, engine) = fresh();
    let [before, _] = overwritten(&engine);
    let pinned = engine.snapshot(A).expect("there");
    let batch: Vec<_> = (0..20)
        .map(|n| set(300 + n, &format!("key-{n}-1"), b"new"))
        .collect();
    commit(&engine, A, &batch).expect("committed");
    engine.drop_vbucket(B).expect("dropped");
    run(compact(&engine, A)).expect("done");
    audit(&engine, true);
    assert_eq!(contents_of(&*pinned), before);
    engine.drop_vbucket(A).expect("dropped");
    engine.create(A).expect("created");
    run(compact(&engine, A)).expect("done");
    assert_eq!(
        contents_of(&*pinned),
        before,
        "also of a vBucket that is gone"
    );
    audit(&engine, true);
    drop(pinned);
    run(compact(&engine, A)).expect("done");
    assert_eq!(engine.stats()["live-records"], 0);
}

#[test]
fn a_reader_keeps_the_segment_it_reads() {
    let (_, engine) = fresh();
    let [expected, _] = overwritten(&engine);
    let vbucket = engine.store.registry.loaded(A).expect("there");
    let rows = vbucket.rows(&vbucket.view(), 0, u64::MAX, 1000);
    run(compact(&engine, A)).expect("done");
    run(compact(&engine, B)).expect("done");
    // Were one of them in use again, it would hold something else now.
    for n in 0..40_u64 {
        commit(&engine, B, &[set(1000 + n, "filler", &noise(n, 50_000))]).expect("committed");
    }
    let mut items = Vec::new();
    let hash_key = engine.store.context.hash_key;
    read_rows(&rows, hash_key, &mut ReadBuffer::default(), &mut items).expect("readable");
    assert_eq!(items, expected.into_values().collect::<Vec<_>>());
    let held = engine.stats()["free-segments"];
    drop(rows);
    run(compact(&engine, A)).expect("done");
    assert!(
        engine.stats()["free-segments"] > held,
        "nobody reads them any more"
    );
}

/// The hazard of every log: the tombstone is gone, and an older record of its key comes back.
#[test]
fn a_purged_key_stays_away_whatever_is_rewritten_and_whenever_the_power_goes() {
    for order in 0..6 {
        let (disk, engine) = fresh();
        let filler = |engine: &Logstor, from: u64| {
            let high = engine.info(B).expect("there").high.0;
            commit(
                engine,
                B,
                &[set(
                    high + 1,
                    &format!("filler-{from}"),
                    &noise(from, 50_000),
                )],
            )
            .expect("committed");
        };
        commit(&engine, A, &[set(1, "gone", b"old"), set(2, "stays", b"s")]).expect("committed");
        filler(&engine, 1);
        if order % 2 == 0 {
            // A second record of the old revision.
            run(engine.separate().expect("begun")).expect("done");
        }
        commit(&engine, A, &[delete(3, "gone"), set(4, "end", b"")]).expect("committed");
        filler(&engine, 2);
        let mut job = compact(&engine, A);
        if order >= 2 {
            assert!(to_point(&mut *job, POINTS[order % 4]));
        }
        assert_eq!(engine.purge(A, Seqno(3)).expect("purged"), Seqno(3));
        if order >= 4 {
            while !matches!(job.step(STEP).expect("no failure"), Progress::Done(_)) {}
        }
        drop(job);
        let shown = |engine: &Logstor| contents(engine, A).into_keys().collect::<Vec<_>>();
        audit(&engine, true);
        assert_eq!(shown(&engine), [2, 4], "order {order}");
        disk.crash(Keep::None);
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            shown(&engine),
            [2, 4],
            "order {order}, after a loss of power"
        );
        filler(&engine, 3);
        run(compact(&engine, A)).expect("done");
        run(compact(&engine, B)).expect("done");
        engine.close().expect("closed");
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        run(compact(&engine, A)).expect("done");
        audit(&engine, true);
        assert_eq!(shown(&engine), [2, 4], "order {order}");
    }
}

#[test]
fn a_purged_tombstone_is_given_up_once_its_key_is_gone_from_the_disk() {
    let (_, engine) = fresh();
    overwritten(&engine);
    let deletions: Vec<_> = (0..20_u64)
        .flat_map(|n| (0..3).map(move |k| delete(300 + 3 * n + k, &format!("key-{n}-{k}"))))
        .collect();
    commit(&engine, A, &deletions).expect("committed");
    commit(&engine, A, &[set(500, "end", b"")]).expect("committed");
    assert_eq!(engine.purge(A, Seqno(499)).expect("purged"), Seqno(359));
    let vbucket = engine.store.registry.loaded(A).expect("there");
    assert_eq!(
        vbucket.slots().len(),
        61,
        "each hides what is still on the disk"
    );
    run(compact(&engine, A)).expect("done");
    assert_eq!(vbucket.slots().len(), 1);
    audit(&engine, true);
}

#[test]
fn upkeep_separates_and_compacts_and_then_is_content() {
    let (_, engine) = fresh();
    let mut expected = [Contents::new(), Contents::new()];
    for round in 0..6 {
        let [a, b] = &mut expected;
        for n in 0..30_u64 {
            let seqno = round * 100 + n + 1;
            let batches = [A, B].map(|vb| {
                (
                    vb,
                    vec![set(seqno, &format!("key-{n}"), &noise(seqno, 2500))],
                )
            });
            assert!(commit_all(&engine, &batches).iter().all(Result::is_ok));
            *a = apply(a, &batches[0].1);
            *b = apply(b, &batches[1].1);
        }
        let mut jobs = 0;
        while let Some(job) = engine.maintenance() {
            run(job).expect("done");
            jobs += 1;
            assert!(jobs < 20, "upkeep without end");
        }
        assert_eq!([contents(&engine, A), contents(&engine, B)], expected);
        audit(&engine, true);
    }
    assert!(engine.stats()["segments-compacted"] > 10);
}

#[test]
fn one_compaction_of_a_vbucket_at_a_time() {
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

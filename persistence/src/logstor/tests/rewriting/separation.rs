//! Separation: the segments it takes, and the segments it makes.

use super::stores::{fresh, overwritten};
use crate::contract::{CommitBatch, Engine, EnginePoint};
use crate::disk::{MemoryDisk, PowerLoss};
use crate::logstor::LogstorConfig;
use crate::logstor::tests::support::{
    A, B, Contents, SMALL, apply, audit, commit, commit_all, contents, noise, open, open_with, run,
    set, state,
};

#[test]
fn separation_makes_segments_of_single_vbuckets() {
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
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!([contents(&engine, A), contents(&engine, B)], expected);
    audit(&engine, true);
}

#[test]
fn old_mixed_segment_is_separated() {
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
        let batch = CommitBatch {
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
                .contains(&EnginePoint::AfterIndexBeforeSeparate)
        })
    };
    assert!(!separates(), "all of it is young");
    at(A, 41, 1600);
    assert!(!separates(), "the oldest is not old enough yet");
    at(A, 42, 1601);
    assert!(separates(), "the oldest is 600 seconds old");
    assert!(!separates(), "once is enough");
    // A segment that never fills is separated too.
    at(B, 43, 1700);
    at(A, 44, 2299);
    assert!(!separates());
    at(A, 45, 2300);
    assert!(separates());
    audit(&engine, true);
}

#[test]
fn segment_of_one_vbucket_is_adopted() {
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
fn maintenance_separates_and_compacts_until_nothing_is_due() {
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

//! The budget of segments. Live records fit, however often they were overwritten. A batch that does
//! not fit is refused, and loses nothing.

use std::sync::Arc;

use lowtide_checkpoint::Item;

use crate::contract::{CompactionRequest, Engine, JobProgress};
use crate::disk::{MemoryDisk, MeteredDisk, PowerLoss};
use crate::logstor::tests::support::{
    A, B, Contents, SMALL, STEP, apply, audit, commit, contents, noise, open_with, run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

const TINY: LogstorConfig = LogstorConfig {
    disk_bytes: 32 * (64 << 10),
    file_bytes: 64 << 10,
    ..SMALL
};

fn fresh() -> (MemoryDisk, Logstor) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, TINY).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    (disk, engine)
}

#[test]
fn overwrites_take_no_more_than_the_budget() {
    for (keys, bytes) in [(20, 40_000), (200, 3000), (5, 200), (700, 1000)] {
        let (disk, engine) = fresh();
        let mut expected = Contents::new();
        for n in 0..1500_u64 {
            let batch = [set(
                n + 1,
                &format!("key-{}", n * 7 % keys),
                &noise(n, bytes),
            )];
            commit(&engine, A, &batch)
                .unwrap_or_else(|error| panic!("{keys} of {bytes}, {n}: {error}"));
            if n + keys >= 1500 {
                expected = apply(&expected, &batch);
            }
        }
        assert!(disk.usage().bytes <= TINY.disk_bytes + (64 << 10));
        assert_eq!(contents(&engine, A), expected, "{keys} of {bytes}");
        audit(&engine, true);
        drop(engine);
        disk.crash(PowerLoss::DropUnsynced);
        let (engine, _) = open_with(&disk, TINY).expect("opens");
        assert_eq!(contents(&engine, A), expected, "{keys} of {bytes}");
    }
}

#[test]
fn many_small_commits_are_packed() {
    // Each commit alone takes a block; packed together they take little.
    let (_, engine) = fresh();
    for n in 0..3000_u64 {
        let vb = if n % 3 == 0 { B } else { A };
        let high = engine.info(vb).expect("there").high.0;
        commit(
            &engine,
            vb,
            &[set(high + 1, &format!("key-{n}"), b"a small value")],
        )
        .expect("committed");
    }
    assert_eq!(
        contents(&engine, A).len() + contents(&engine, B).len(),
        3000
    );
    audit(&engine, true);
}

#[test]
fn batch_that_does_not_fit_is_refused_and_nothing_is_lost() {
    let (disk, engine) = fresh();
    let mut expected = Contents::new();
    let mut seqno = 0;
    let refused = loop {
        seqno += 1;
        let batch = [set(seqno, &format!("key-{seqno}"), &noise(seqno, 10_000))];
        match commit(&engine, A, &batch) {
            Ok(_) => expected = apply(&expected, &batch),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), "no-space");
    assert!(
        expected.len() > 32 * 6 * 8 / 10,
        "only {} fit",
        expected.len()
    );
    assert_eq!(contents(&engine, A), expected);
    audit(&engine, true);
    // Each attempt is refused, and changes nothing.
    for _ in 0..3 {
        let large: Vec<Item> = (0..10)
            .map(|n| set(seqno + n, &format!("more-{n}"), &[1; 30_000]))
            .collect();
        assert_eq!(
            commit(&engine, A, &large).expect_err("too much").kind(),
            "no-space"
        );
        assert_eq!(contents(&engine, A), expected);
    }
    // A batch that is refused does not fail the others of its call.
    disk.crash(PowerLoss::DropUnsynced);
    drop(engine);
    let (engine, _) = open_with(&disk, TINY).expect("opens");
    assert_eq!(contents(&engine, A), expected);
    engine.drop_vbucket(A).expect("dropped, full as it is");
    for n in 0..100 {
        commit(
            &engine,
            B,
            &[set(n + 1, &format!("key-{n}"), &noise(n, 10_000))],
        )
        .expect("there is room again");
    }
    assert_eq!(contents(&engine, B).len(), 100);
    audit(&engine, true);
}

#[test]
fn values_larger_than_a_segment_come_back_and_are_freed() {
    let (disk, engine) = fresh();
    let mut engine = engine;
    for n in 0..30_u64 {
        let batch = [
            set(2 * n + 1, "large", &noise(n, 600_000)),
            set(2 * n + 2, "small", &noise(n, 10)),
        ];
        commit(&engine, A, &batch).expect("committed");
        let expected = apply(&Contents::new(), &batch);
        assert_eq!(contents(&engine, A), expected);
        if n % 10 == 9 {
            audit(&engine, true);
            engine.close().expect("closed");
            disk.crash(PowerLoss::DropUnsynced);
            drop(engine);
            engine = open_with(&disk, TINY).expect("opens").0;
            assert_eq!(contents(&engine, A), expected);
        }
    }
}

#[test]
fn value_larger_than_the_store_is_refused() {
    let (_, engine) = fresh();
    commit(&engine, A, &[set(1, "a", b"1")]).expect("committed");
    let error = commit(&engine, A, &[set(2, "huge", &vec![0; 10 << 20])]).expect_err("too large");
    assert_eq!(error.kind(), "no-space");
    commit(&engine, A, &[set(2, "a", b"2")]).expect("nothing has changed");
}

#[test]
fn any_geometry_works() {
    for (segment_bytes, file_bytes, disk_bytes) in [
        (65_536, 65_536, 0),
        (70_000, 1, 1 << 30),
        (1 << 20, 3 << 20, 32 << 20),
        (131_072, 1 << 20, 5 << 20),
    ] {
        let config = LogstorConfig {
            segment_bytes,
            file_bytes,
            disk_bytes,
            ..LogstorConfig::new([1, 2])
        };
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(A).expect("created");
        for n in 0..50_u64 {
            commit(
                &engine,
                A,
                &[set(n + 1, &format!("key-{}", n % 9), &noise(n, 60_000))],
            )
            .expect("committed");
        }
        let before = contents(&engine, A);
        drop(engine);
        // The geometry is that of the store, whatever the configuration asks for.
        let (engine, _) = open_with(&disk, SMALL).expect("opens");
        assert_eq!(contents(&engine, A), before);
    }
}

/// Returns the device bytes of each commit while keys are overwritten at random, without
/// maintenance.
fn bytes_of_commits(keys: u64, value_bytes: usize) -> Vec<u64> {
    let disk = MeteredDisk::new(Arc::new(MemoryDisk::new()));
    let (engine, _) = open_with(&disk, TINY).expect("opens");
    engine.create(A).expect("created");
    let commit = |n: u64| {
        let before = disk.stats();
        let key = (n * 2_654_435_761) % keys;
        commit(
            &engine,
            A,
            &[set(n + 1, &format!("key-{key}"), &noise(n, value_bytes))],
        )
        .expect("committed");
        disk.stats().since(&before).written_bytes
    };
    (0..3000).map(commit).collect()
}

#[test]
fn commit_short_of_space_does_its_part_of_the_rewriting() {
    for (keys, value_bytes) in [(200, 3000), (120, 7000), (20, 40_000), (1000, 1000)] {
        let bytes = bytes_of_commits(keys, value_bytes);
        let steady = &bytes[1000..];
        let sums = |of: usize| {
            let mut sums: Vec<u64> = steady
                .chunks(of)
                .map(|window| window.iter().sum())
                .collect();
            sums.sort_unstable();
            sums
        };
        let (one, many) = (sums(1), sums(32));
        let (median, most) = (many[many.len() / 2], many[many.len() - 1]);
        assert!(
            most <= 2 * median,
            "{keys} of {value_bytes}: {most} bytes of 32 commits, usually {median}"
        );
        // No commit frees a whole segment alone.
        let frame = (value_bytes as u64 + 200).next_multiple_of(4096);
        let most = one[one.len() - 1];
        assert!(
            most <= 4 * frame + (24 << 10),
            "{keys} of {value_bytes}: {most} bytes of a commit"
        );
    }
}

#[test]
fn segments_claimed_by_a_job_are_no_reason_to_refuse_a_commit() {
    let (_, engine) = fresh();
    let mut expected = Contents::new();
    // Each key has two revisions: the store is full, and half of it is dead.
    let mut n = 0;
    while engine.stats()["free-segments"] > 6 || engine.stats()["segments"] < 32 {
        let batch = [set(n + 1, &format!("key-{}", n / 2), &noise(n, 10_000))];
        commit(&engine, A, &batch).expect("there is room");
        expected = apply(&expected, &batch);
        n += 1;
    }
    // The job claims the segments that free most, and stands still.
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begins");
    let mut steps = 0;
    while steps < 6 {
        steps += u32::from(!matches!(
            job.step(STEP).expect("works"),
            JobProgress::Reached(_)
        ));
    }
    for _ in 0..100 {
        let batch = [set(n + 1, &format!("key-{}", n % 40), &noise(n, 10_000))];
        commit(&engine, A, &batch).unwrap_or_else(|error| panic!("commit {n}: {error}"));
        expected = apply(&expected, &batch);
        n += 1;
    }
    assert_eq!(contents(&engine, A), expected);
    // The job notices the loss of its segments, and ends.
    run(job).expect("ends");
    assert_eq!(contents(&engine, A), expected);
    audit(&engine, true);
}

/// Returns the number of commits that fit into a store of which a quarter is half dead. A job has
/// claimed that quarter, and stands still.
fn commits_until_refused(has_job: bool) -> u64 {
    let (_, engine) = fresh();
    for n in 0..120 {
        // The first keys are live; each later key has two revisions.
        let key = if n < 80 { n } else { 80 + n / 2 };
        commit(
            &engine,
            A,
            &[set(n + 1, &format!("key-{key}"), &noise(n, 10_000))],
        )
        .expect("there is room");
    }
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begins");
    let mut points = 0;
    while points < 2 {
        points += u32::from(matches!(
            job.step(STEP).expect("works"),
            JobProgress::Reached(_)
        ));
    }
    let _job = has_job.then_some(job);
    let mut n = 120;
    while let Ok(_committed) = commit(
        &engine,
        A,
        &[set(n + 1, &format!("more-{n}"), &noise(n, 10_000))],
    ) {
        n += 1;
    }
    n - 120
}

#[test]
fn job_that_stands_still_takes_no_space_from_commits() {
    let (alone, beside) = (commits_until_refused(false), commits_until_refused(true));
    // The records the job copied lie elsewhere.
    assert!(
        beside + 5 >= alone,
        "room for {alone} commits, {beside} concurrent with a job"
    );
}

#[test]
fn commit_does_not_wait_for_a_file_that_is_being_made() {
    let disk = MeteredDisk::new(Arc::new(MemoryDisk::new()));
    let config = LogstorConfig {
        file_bytes: 4 << 20,
        disk_bytes: u64::MAX,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    let mut n = 0;
    let job = loop {
        n += 1;
        commit(
            &engine,
            A,
            &[set(n, &format!("key-{n}"), &noise(n, 20_000))],
        )
        .expect("committed");
        if let Some(job) = engine.maintenance() {
            break job;
        }
    };
    let mut job = job;
    let before = disk.stats();
    assert!(matches!(
        job.step(STEP).expect("works"),
        JobProgress::Working { .. }
    ));
    let step = disk.stats().since(&before);
    assert_eq!(
        (step.written_bytes, step.syncs),
        (256 << 10, 1),
        "a slice of the file"
    );
    let before = disk.stats();
    commit(&engine, A, &[set(n + 1, "meanwhile", b"")]).expect("committed");
    assert_eq!(disk.stats().since(&before).written_bytes, 4096);
    // A commit that needs all the space at once continues where the job stands.
    let large: Vec<Item> = (0..60)
        .map(|k| set(n + 2 + k, &format!("large-{k}"), &noise(k, 60_000)))
        .collect();
    commit(&engine, A, &large).expect("committed");
    run(job).expect("nothing is left to do");
    assert_eq!(contents(&engine, A).len() as u64, n + 61);
    engine.close().expect("closed");
    let (_, report) = open_with(&disk, config).expect("opens");
    assert_eq!(report.repairs, []);
}

//! Pacing: rewriting alternates with commits by bytes, and does not wait where no commit comes.

use crate::contract::{CompactionRequest, Engine, JobProgress};
use crate::disk::MemoryDisk;
use crate::logstor::maintenance::LOW_SPACE_SEGMENTS;
use crate::logstor::tests::support::{A, SMALL, STEP, commit, noise, open_with, set};
use crate::logstor::{Logstor, LogstorConfig};

/// Writes the same keys twice, in a store with more space than it uses.
fn overwritten() -> (Logstor, u64) {
    let config = LogstorConfig {
        disk_bytes: 64 << 20,
        garbage_percent: None,
        ..SMALL
    };
    let (engine, _) = open_with(&MemoryDisk::new(), config).expect("opens");
    engine.create(A).expect("created");
    let mut seqno = 0;
    for round in 0..2 {
        for n in 0..400 {
            // Every second key of the first round is live.
            seqno += 1;
            let key = format!("key-{}", n * (1 + round));
            commit(&engine, A, &[set(seqno, &key, &noise(seqno, 1400))]).expect("committed");
        }
    }
    (engine, seqno)
}

fn stat(engine: &Logstor, name: &str) -> u64 {
    engine.stats()[name]
}

#[test]
fn rewriting_job_moves_no_more_than_is_committed_concurrently() {
    let (engine, mut seqno) = overwritten();
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begun");
    let (mut turns, mut committed) = (0, 0);
    loop {
        match job.step(STEP).expect("works") {
            JobProgress::Done(_) => break,
            JobProgress::Ahead => turns += 1,
            _ => {}
        }
        seqno += 1;
        commit(&engine, A, &[set(seqno, "another", &noise(seqno, 100))]).expect("committed");
        committed += 4096;
        let moved = stat(&engine, "bytes-rewritten");
        // A slice in progress, and its padding.
        assert!(
            moved <= committed + 2 * (STEP.bytes + 8192),
            "{moved} bytes concurrent with {committed}"
        );
    }
    assert!(turns > 0, "commits had turns");
    assert!(stat(&engine, "segments-compacted") > 0);
}

#[test]
fn rewriting_continues_without_commits() {
    let (engine, mut seqno) = overwritten();
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begun");
    let (mut turns, mut steps) = (0, 0);
    loop {
        match job.step(STEP).expect("works") {
            JobProgress::Done(_) => break,
            // The job yields at most once for each commit.
            JobProgress::Ahead => turns += 1,
            _ => {}
        }
        steps += 1;
        if steps == 10 {
            seqno += 1;
            commit(&engine, A, &[set(seqno, "another", &noise(seqno, 100))]).expect("committed");
        }
    }
    assert!(turns <= 1, "{turns} for one commit");
}

#[test]
fn rewriting_does_not_wait_when_space_is_short() {
    let config = LogstorConfig {
        disk_bytes: 36 * (64 << 10),
        garbage_percent: None,
        ..SMALL
    };
    let (engine, _) = open_with(&MemoryDisk::new(), config).expect("opens");
    engine.create(A).expect("created");
    let mut seqno = 0;
    // Fills the store until few segments are left, each with some live records.
    while engine.stats()["free-segments"] > 6 || seqno < 600 {
        seqno += 1;
        let key = if seqno % 3 == 0 { seqno } else { seqno % 7 };
        commit(
            &engine,
            A,
            &[set(seqno, &format!("key-{key}"), &noise(seqno, 1400))],
        )
        .expect("committed");
        assert!(seqno < 2000, "{:?}", engine.stats());
    }
    let is_short = |engine: &Logstor| {
        let census = engine.store.log.segments.census();
        census.free + census.possible < LOW_SPACE_SEGMENTS
    };
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begun");
    let mut short_steps = 0;
    loop {
        let was_short = is_short(&engine);
        match job.step(STEP).expect("works") {
            JobProgress::Done(_) => break,
            JobProgress::Ahead => assert!(!was_short, "after {short_steps} steps"),
            _ => {}
        }
        short_steps += u32::from(was_short);
        seqno += 1;
        commit(&engine, A, &[set(seqno, "another", &noise(seqno, 100))]).expect("committed");
    }
    assert!(short_steps > 10, "{short_steps} steps with little room");
}

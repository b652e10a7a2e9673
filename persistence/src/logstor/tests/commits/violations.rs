//! A store whose memory violates an invariant: in a release build the operation is refused, the store
//! takes no more writes, and a restart brings everything back. The checked builds panic.

use std::ops::ControlFlow;

use lowtide_checkpoint::internal::as_in_release;
use lowtide_checkpoint::{ItemRef, Key, Namespace, Seqno};

use super::last_numbers::store;
use crate::contract::{CompactionRequest, Engine, EngineError, JobProgress};
use crate::disk::MemoryDisk;
use crate::logstor::Logstor;
use crate::logstor::log::Origin;
use crate::logstor::tests::support::{
    A, Contents, SMALL, STEP, commit, contents, open_with, run, set,
};

/// Asserts that the store refuses commits, and has everything after a restart.
fn is_poisoned_and_whole(disk: &MemoryDisk, engine: Logstor, before: &Contents) {
    assert_eq!(
        commit(&engine, A, &[set(100, "a", b"")])
            .expect_err("it takes nothing")
            .kind(),
        "poisoned"
    );
    drop(engine);
    let (engine, _) = open_with(disk, SMALL).expect("opens");
    assert_eq!(contents(&engine, A), *before);
    run(engine
        .compact(A, CompactionRequest::default())
        .expect("begun"))
    .expect("done");
    assert_eq!(contents(&engine, A), *before);
}

/// L48.
#[test]
fn record_other_than_the_one_read_is_not_copied_and_its_original_stays() {
    let (disk, engine) = store();
    let before = contents(&engine, A);
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begun");
    let error = loop {
        engine.maintenance.running.lose_bytes();
        match as_in_release(|| job.step(STEP)) {
            Ok(JobProgress::Done(_)) => panic!("it copied something"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), "internal");
    assert!(
        error
            .to_string()
            .contains("L48 is violated: a record to be copied is what was read"),
        "{error}"
    );
    drop(job);
    is_poisoned_and_whole(&disk, engine, &before);
}

/// L9, L48.
#[test]
fn index_without_its_slots_ends_rewriting_and_nothing_is_freed() {
    let (disk, engine) = store();
    let before = contents(&engine, A);
    engine
        .store
        .registry
        .loaded(A)
        .expect("there")
        .break_index();
    let compacted = as_in_release(|| {
        run(engine
            .compact(A, CompactionRequest::default())
            .expect("begun"))
    });
    assert_eq!(compacted.expect_err("refused").kind(), "poisoned");
    is_poisoned_and_whole(&disk, engine, &before);
}

/// Asserts that an operation was refused because of an invariant.
fn assert_violates(result: Result<(), EngineError>, invariant: &str) {
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), "internal");
    let expected = format!("{invariant} is violated");
    assert!(error.to_string().contains(&expected), "{error}");
}

/// L33: a key that cannot be read is not absent.
#[test]
fn record_in_a_segment_that_is_not_in_use_is_reported_and_never_absent() {
    type Read = fn(&Logstor) -> Result<(), EngineError>;
    let reads: [Read; 4] = [
        |engine| {
            let key = Key::new(b"key-1");
            engine.get(A, Namespace::Committed, &key).map(drop)
        },
        |engine| {
            let key = Key::new(b"key-1");
            let snapshot = engine.snapshot(A).expect("there");
            snapshot.get(Namespace::Committed, &key).map(drop)
        },
        |engine| {
            let snapshot = engine.snapshot(A).expect("there");
            let mut go_on = |_: ItemRef<'_>| ControlFlow::Continue(());
            snapshot.visit(Seqno::ZERO, Seqno::MAX, &mut go_on)
        },
        |engine| engine.check(A).map(|wrong| assert_ne!(wrong, [""; 0])),
    ];
    for (number, read) in (0..).zip(reads) {
        let (disk, engine) = store();
        let before = contents(&engine, A);
        // What is taken off the lost segments is not counted, either.
        as_in_release(|| {
            engine.store.log.segments.lose_uses();
            let result = read(&engine);
            if number < 3 {
                assert_violates(result, "L33");
            }
            is_poisoned_and_whole(&disk, engine, &before);
        });
    }
}

/// L28.
#[test]
fn job_that_is_not_registered_stops_and_nothing_more_is_written() {
    let (disk, engine) = store();
    let before = contents(&engine, A);
    let mut job = engine.separate().expect("begun");
    job.step(STEP).expect("it has chosen nothing yet");
    engine.maintenance.running.end(None);
    let stopped = as_in_release(|| {
        loop {
            match job.step(STEP) {
                Ok(JobProgress::Done(_)) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        }
    });
    assert_violates(stopped, "L28");
    drop(job);
    is_poisoned_and_whole(&disk, engine, &before);
}

/// E10: a call that was lost is refused. It must neither begin again for ever nor pass for done.
#[test]
fn call_without_an_outcome_is_refused_and_nothing_more_is_written() {
    let (disk, engine) = store();
    let before = contents(&engine, A);
    let refused = std::thread::scope(|scope| {
        let mut call = None;
        engine.store.commits.lose_next_call(|| {
            let commit = || as_in_release(|| commit(&engine, A, &[set(100, "a", b"")]));
            call = Some(scope.spawn(commit));
        });
        call.expect("begun").join().expect("it does not panic")
    });
    assert_violates(refused.map(drop), "E10");
    is_poisoned_and_whole(&disk, engine, &before);
}

/// L8.
#[test]
#[should_panic(expected = "invariant L8 is violated")]
fn free_segment_is_not_closed() {
    let (_, engine) = store();
    let census = engine.store.log.segments.census();
    assert!(census.free > 0);
    let last = census.total - 1;
    engine
        .store
        .log
        .segments
        .close(last, 0, Origin::Commits, None);
}

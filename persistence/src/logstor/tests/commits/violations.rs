//! A store whose memory violates an invariant: in a release build the operation is refused, the store
//! takes no more writes, and a restart brings everything back. The checked builds panic.

use lowtide_checkpoint::internal::as_in_release;

use super::last_numbers::store;
use crate::contract::{CompactionRequest, Engine, JobProgress};
use crate::disk::MemoryDisk;
use crate::logstor::Logstor;
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
fn a_record_other_than_the_one_read_is_not_copied_and_its_original_stays() {
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
fn an_index_without_its_slots_ends_rewriting_and_nothing_is_freed() {
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

//! A store whose memory violates an invariant: in a release build the operation is refused, the
//! store takes no more writes, and a restart brings everything back. The checked builds panic.

use lowtide_checkpoint::internal::as_in_release;

use crate::contract::{Budget, CompactionRequest, Engine, EngineError, JobProgress};
use crate::couchstore::engine::Couchstore;
use crate::disk::{MemoryDisk, PowerLoss};

use super::support::{Contents, VB, commit, contents, open, set};

fn store() -> (MemoryDisk, Couchstore, Contents) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    let before = contents(&engine, VB);
    (disk, engine, before)
}

/// Asserts that the violation is named, the store refuses commits, and has everything after a power
/// loss.
fn is_poisoned_and_whole(
    (disk, engine, before): (MemoryDisk, Couchstore, Contents),
    error: &EngineError,
    words: &str,
) {
    assert_eq!(error.kind(), "internal", "{error}");
    assert!(error.to_string().contains(words), "{error}");
    let refused = commit(&engine, VB, &[set(9, "late", b"")]).expect_err("it takes nothing");
    assert_eq!(refused.kind(), "poisoned");
    assert_eq!(contents(&engine, VB), before, "reads go on");
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(report.unreadable, []);
    assert_eq!(contents(&engine, VB), before);
    commit(&engine, VB, &[set(3, "a", b"3")]).expect("it goes on");
}

/// Guards E2.
#[test]
fn commit_that_points_behind_itself_is_not_acknowledged() {
    let store = store();
    let vbucket = store.1.vbucket(VB).expect("there");
    vbucket.with_writer(|writer| writer.point_behind_itself());
    let error = as_in_release(|| commit(&store.1, VB, &[])).expect_err("it is refused");
    drop(vbucket);
    let words = "E2 is violated: a header points only to what was written before it";
    is_poisoned_and_whole(store, &error, words);
}

/// Guards E35.
#[test]
fn vbucket_without_a_file_name_is_not_dropped() {
    let store = store();
    store.1.with_directory(|directory| directory.forget(VB));
    let error = as_in_release(|| store.1.drop_vbucket(VB)).expect_err("it is refused");
    is_poisoned_and_whole(store, &error, "E35 is violated: a vBucket has a file");
}

/// Guards E35: the file that the new one replaces must be known before anything is renamed.
#[test]
fn compaction_without_a_file_to_replace_is_not_installed() {
    let store = store();
    let mut job = store
        .1
        .compact(VB, CompactionRequest::new())
        .expect("begun");
    store.1.with_directory(|directory| directory.forget(VB));
    let error = as_in_release(|| {
        loop {
            match job.step(Budget::NONE) {
                Ok(JobProgress::Done(report)) => panic!("it is installed: {report:?}"),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    is_poisoned_and_whole(store, &error, "E35 is violated: a vBucket has a file");
}

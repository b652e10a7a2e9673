//! A file at the highest revision: an operation that needs the next one is refused by name, and
//! nothing is changed (E31).

use lowtide_checkpoint::Vbid;

use crate::contract::{CompactionRequest, Engine, EngineError};
use crate::couchstore::tests::support::{VB, commit, contents, dir, file, open, set};
use crate::disk::{Disk, FaultyDisk, MemoryDisk};

const LAST: &str = "7.couch.18446744073709551615";

fn store() -> FaultyDisk {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    engine.close().expect("closed");
    disk.rename(&file(), &dir().join(LAST)).expect("there");
    disk
}

fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) {
    let error = result.expect_err("there is no next one");
    assert_eq!(error.kind(), "numbers-used-up");
    let path = dir().join(LAST);
    assert_eq!(
        error.to_string(),
        format!("{}: file revisions are used up", path.display())
    );
}

#[test]
fn compaction_at_the_highest_revision_is_refused() {
    let disk = store();
    let (engine, _) = open(&disk).expect("opens");
    let before = (contents(&engine, VB), disk.io_count());
    let mut job = engine
        .compact(VB, CompactionRequest::default())
        .expect("begun");
    refused(job.step(crate::contract::Budget::NONE));
    drop(job);
    assert_eq!((contents(&engine, VB), disk.io_count()), before);
    assert_eq!(disk.list(&dir()).expect("listed"), [LAST]);
    commit(&engine, VB, &[set(3, "c", b"3")]).expect("the vBucket goes on");
    engine.close().expect("closed");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        contents(&engine, VB).len(),
        3,
        "what was acknowledged is in a file with a name"
    );
}

#[test]
fn vbucket_dropped_at_the_highest_revision_is_not_created_again() {
    let disk = store();
    let (engine, _) = open(&disk).expect("opens");
    engine.drop_vbucket(VB).expect("dropped");
    let before = disk.io_count();
    refused(engine.create(VB));
    assert_eq!(
        (disk.io_count(), disk.list(&dir()).expect("listed")),
        (before, vec![])
    );
    engine.create(Vbid(8)).expect("others can be");
    engine.close().expect("closed");
    drop(engine);
    // Once its file is durably removed, revisions begin again at 1.
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
}

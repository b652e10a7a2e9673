//! A lack of file handles: the operation that meets it returns an error, and a later one succeeds
//! (E33).

use crate::contract::Engine;
use crate::disk::{FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::tests::support::{A, B, commit, contents, noise, open, set};

/// The store opens its directory at its start. An acknowledged file has its name durably, and a
/// sync of the directory needs no further handle.
#[test]
fn full_table_of_handles_poisons_nothing() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    disk.limit_handles(Some(disk.open_handles()));
    engine.create(B).expect("an edit of the manifest");
    let mut acknowledged = 0;
    // Commits until another log file is needed.
    for seqno in 1..=60 {
        match commit(
            &engine,
            A,
            &[set(seqno, &format!("key-{seqno}"), &noise(seqno, 20_000))],
        ) {
            Ok(_) => acknowledged += 1,
            Err(error) => {
                assert_ne!(error.kind(), "poisoned", "{error}");
                break;
            }
        }
    }
    disk.limit_handles(None);
    commit(&engine, A, &[set(1000, "last", b"1")]).expect("it passes");
    engine.drop_vbucket(B).expect("dropped");
    assert_eq!(contents(&engine, A).len(), acknowledged + 1);
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        (contents(&engine, A).len(), engine.vbuckets()),
        (acknowledged + 1, vec![A])
    );
}

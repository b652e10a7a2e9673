//! Single commits: refused batches, states, counts of prepares, and readers concurrent with a
//! writer.

use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Seqno, Vbid};

use crate::contract::{CommitBatch, Engine, EngineError};
use crate::couchstore::tests::support::{VB, commit, contents, delete, file, open, set, state};
use crate::couchstore::tools::CouchFile;
use crate::disk::{FaultyDisk, MemoryDisk};

#[test]
fn wrong_batches_change_nothing() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(5, "a", b"1")]).expect("committed");
    let (before, ios) = (contents(&engine, VB), disk.io_count());
    let long = "k".repeat(4094);
    for batch in [
        vec![set(5, "b", b"")],
        vec![set(6, "b", b""), set(6, "c", b"")],
        vec![set(7, "b", b""), delete(6, "c")],
        vec![set(6, "b", b""), set(7, &long, b"")],
        vec![set(6, "b", b""), set(1 << 48, "c", b"")],
        vec![Item {
            rev_seqno: 1 << 48,
            ..set(6, "b", b"")
        }],
        vec![Item {
            key: Key::in_collection(2, b"b"),
            ..set(6, "b", b"")
        }],
    ] {
        assert!(commit(&engine, VB, &batch).is_err());
    }
    assert!(matches!(
        commit(&engine, Vbid(8), &[]),
        Err(EngineError::UnknownVBucket { .. })
    ));
    assert_eq!((contents(&engine, VB), disk.io_count()), (before, ios));
}

#[test]
fn states_are_committed_with_and_without_items() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    assert_eq!(engine.snapshot(VB).expect("there").state(), None);
    for snapshot_end in [10, 20] {
        let state = state(snapshot_end);
        let batch = CommitBatch {
            vb: VB,
            items: &[],
            state: &state,
            timestamp: 5,
        };
        assert_eq!(
            engine
                .commit(&[batch])
                .pop()
                .expect("one")
                .expect("committed")
                .items,
            0
        );
        assert_eq!(engine.snapshot(VB).expect("there").state(), Some(&state));
    }
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        engine.snapshot(VB).expect("there").state(),
        Some(&state(20))
    );
}

#[test]
fn prepares_on_disk_are_counted() {
    use lowtide_checkpoint::Operation::{Abort, Prepare};
    let item = |seqno, operation, key: &[u8]| Item {
        seqno: Seqno(seqno),
        value: (operation == Prepare).then(|| Bytes::from_static(b"x")),
        ..Item::new(operation, Key::new(key))
    };
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let counted = || {
        let file = CouchFile::open_read_only(&disk, &file()).expect("opens");
        let state = file
            .local_docs()
            .expect("readable")
            .pop()
            .expect("the state")
            .1;
        let json: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        json["on_disk_prepares"]
            .as_str()
            .expect("a string")
            .to_owned()
    };
    commit(
        &engine,
        VB,
        &[item(1, Prepare, b"a"), item(2, Prepare, b"b")],
    )
    .expect("committed");
    assert_eq!(counted(), "2");
    commit(&engine, VB, &[item(3, Prepare, b"a"), item(4, Abort, b"b")]).expect("committed");
    assert_eq!(counted(), "1");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    commit(&engine, VB, &[item(5, Abort, b"a")]).expect("committed");
    assert_eq!(counted(), "0");
}

#[test]
fn readers_do_not_wait_for_writers() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let engine = Arc::new(engine);
    engine.create(VB).expect("created");
    let writer = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            for seqno in 1..200 {
                commit(
                    &*engine,
                    VB,
                    &[set(2 * seqno, "a", b"x"), set(2 * seqno + 1, "b", b"y")],
                )
                .expect("committed");
            }
        })
    };
    while !writer.is_finished() {
        let found: Vec<u64> = contents(&*engine, VB).into_keys().collect();
        assert!(
            matches!(found[..], []) || matches!(found[..], [a, b] if a % 2 == 0 && b == a + 1),
            "{found:?}"
        );
    }
    writer.join().expect("no panic");
}

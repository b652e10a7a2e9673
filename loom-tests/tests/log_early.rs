//! Gets and commits while an index is loaded: a reader that got a record reads that record, and
//! commits are on top of the loaded index (L38, L39).
//!
//! One thread loads the index of a store that was opened, as upkeep does. The other commits, or
//! gets; then the record is overwritten and its segment handed out again. The model fails if
//! concurrent commits are not put on top of the loaded index, or if the reader releases the old
//! index before it holds the segment.
#![cfg(checkpoint_loom)]

use std::sync::Arc;

use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::log_store::{BIG, TurnDisk, assert_holds, commit, get, open, run};
use lowtide_loom_tests::{assert_log_caught, every_order_of};
use lowtide_persistence::Engine;
use lowtide_persistence::fault::Fault;
use lowtide_persistence::logstor::Logstor;

const VB: Vbid = Vbid(1);

/// Returns a store that was closed with an image, and opened again.
fn opened() -> (TurnDisk, Arc<Logstor>) {
    let disk = TurnDisk::new();
    let engine = open(&disk);
    engine.create(VB).expect("new");
    commit(&engine, &[(VB, 1, "a", BIG)]);
    commit(&engine, &[(VB, 2, "b", 10)]);
    engine.close().expect("closed");
    drop(engine);
    let engine = open(&disk);
    disk.take_turns(true);
    (disk, engine)
}

#[test]
fn commit_against_load() {
    every_order_of(4, || {
        let (disk, engine) = opened();
        let loader = {
            let engine = engine.clone();
            thread::spawn(move || run(engine.maintenance().expect("something is to be loaded")))
        };
        commit(&engine, &[(VB, 3, "b", 20)]);
        assert_eq!(get(&engine, VB, "b"), Some((3, 20)));
        loader.join().expect("its assertions hold");
        assert_holds(&disk, engine, &[(VB, "a", (1, BIG)), (VB, "b", (3, 20))]);
    });
}

#[test]
fn get_against_load() {
    every_order_of(3, || {
        let (disk, engine) = opened();
        let loader = {
            let engine = engine.clone();
            thread::spawn(move || {
                commit(&engine, &[(VB, 3, "a", 10)]);
                run(engine.separate().expect("nobody else does"));
                commit(&engine, &[(VB, 4, "c", BIG)]);
            })
        };
        let seen = get(&engine, VB, "a");
        assert!(seen == Some((1, BIG)) || seen == Some((3, 10)), "{seen:?}");
        loader.join().expect("its assertions hold");
        assert_holds(&disk, engine, &[(VB, "a", (3, 10)), (VB, "c", (4, BIG))]);
    });
}

#[test]
fn broken_variants_are_caught() {
    assert_log_caught("commit_against_load", &[Fault::CommitsBesideLoadLost]);
    assert_log_caught(
        "get_against_load",
        &[Fault::FreedWhileRead, Fault::SegmentTakenLate],
    );
}

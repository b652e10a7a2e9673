//! A reader that has found a record's position reads that record, even if its segment is freed and
//! reused meanwhile (L33).
//!
//! One thread reads a key. The other overwrites it, rewrites the dead segment, and commits into the
//! segment that was freed. The reader would read other bytes if the segment were handed out during
//! the read, or if the reader pinned the segment after it released the index.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::log_store::{BIG, TurnDisk, assert_holds, commit, get, open, run};
use lowtide_loom_tests::{assert_log_caught, every_order_of};
use lowtide_persistence::Engine;
use lowtide_persistence::fault::Fault;

const VB: Vbid = Vbid(1);

#[test]
fn read_against_free() {
    every_order_of(4, || {
        let disk = TurnDisk::new();
        let engine = open(&disk);
        engine.create(VB).expect("new");
        commit(&engine, &[(VB, 1, "a", BIG)]);
        disk.take_turns(true);
        let rewriter = {
            let engine = engine.clone();
            thread::spawn(move || {
                commit(&engine, &[(VB, 2, "a", 10)]);
                run(engine.separate().expect("nobody else does"));
                commit(&engine, &[(VB, 3, "b", BIG)]);
            })
        };
        let seen = get(&engine, VB, "a");
        assert!(seen == Some((1, BIG)) || seen == Some((2, 10)), "{seen:?}");
        rewriter.join().expect("its assertions hold");
        assert_holds(&disk, engine, &[(VB, "a", (2, 10)), (VB, "b", (3, BIG))]);
    });
}

#[test]
fn broken_variants_are_caught() {
    assert_log_caught(
        "read_against_free",
        &[Fault::FreedWhileRead, Fault::SegmentTakenLate],
    );
}

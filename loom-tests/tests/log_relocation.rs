//! A key that was overwritten during its relocation stays overwritten (L32).
//!
//! One thread splits a segment of two vBuckets, the other overwrites a key in it. If the copy
//! replaced any entry of the index, the old revision would be read as the new one.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::log_store::{TurnDisk, assert_holds, commit, open, run};
use lowtide_loom_tests::{assert_log_caught, every_order};
use lowtide_persistence::Engine;
use lowtide_persistence::fault::Fault;

const A: Vbid = Vbid(1);
const B: Vbid = Vbid(2);

#[test]
fn overwrite_against_relocation() {
    every_order(|| {
        let disk = TurnDisk::new();
        let engine = open(&disk);
        engine.create(A).expect("new");
        engine.create(B).expect("new");
        commit(&engine, &[(A, 1, "a", 100), (B, 1, "b", 200)]);
        let writer = {
            let engine = engine.clone();
            thread::spawn(move || commit(&engine, &[(A, 2, "a", 300)]))
        };
        run(engine.separate().expect("nobody else does"));
        writer.join().expect("its assertions hold");
        assert_holds(&disk, engine, &[(A, "a", (2, 300)), (B, "b", (1, 200))]);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught("overwrite_against_relocation", &[Fault::RelocatedAnyway]);
}

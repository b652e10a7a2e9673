//! The index has every record of a closed segment (L31).
//!
//! A commit fills a segment, which is closed, while another thread begins to rewrite. The rewriter
//! closes the active segment and then lists the segments. If a segment were closed before the index
//! has its records, the rewriter would take it for dead and free it. The commit would be
//! acknowledged and lost.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::log_store::{BIG, TurnDisk, assert_holds, commit, open, run};
use lowtide_loom_tests::{assert_log_caught, every_order_of};
use lowtide_persistence::Engine;
use lowtide_persistence::fault::Fault;

const VB: Vbid = Vbid(1);

#[test]
fn commit_against_rewriting() {
    every_order_of(4, || {
        let disk = TurnDisk::new();
        let engine = open(&disk);
        engine.create(VB).expect("new");
        let writer = {
            let engine = engine.clone();
            thread::spawn(move || commit(&engine, &[(VB, 1, "a", BIG)]))
        };
        run(engine.separate().expect("nobody else does"));
        writer.join().expect("its assertions hold");
        assert_holds(&disk, engine, &[(VB, "a", (1, BIG))]);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught(
        "commit_against_rewriting",
        &[Fault::ClosedBeforeItIsIndexed],
    );
}

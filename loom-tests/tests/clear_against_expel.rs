//! A rollback that races with expelling and with the end of a flush leaves the queue as the
//! rollback made it.
//!
//! After `clear(1)` the next operation is 2 and every cursor reads exactly that, whether the other
//! thread's expel and failing flush came before, between or after. A flush must not put the
//! persistence cursor back to its place in the old queue: the cursor would be outside the new one,
//! which `check` reports.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{ReadLimit, Seqno};
use lowtide_loom_tests::{
    active, assert_caught, assert_sound, cursor, every_order, held, read, set,
};

#[test]
fn clear_against_expel() {
    every_order(|| {
        let manager = active(true);
        let dcp = cursor(&manager, "dcp");
        for key in ["a", "b", "c"] {
            set(&manager, key);
        }
        read(&manager, dcp);
        manager
            .begin_flush(ReadLimit::NONE)
            .expect("the first")
            .commit();
        set(&manager, "d");
        let failing = manager.begin_flush(ReadLimit::NONE).expect("no other");
        let expeller = {
            let manager = manager.clone();
            thread::spawn(move || {
                let expelled = manager.expel();
                assert!(
                    expelled == 0 || expelled == 3,
                    "what dcp and the flush have passed: {expelled}"
                );
                failing.fail();
                expelled
            })
        };
        manager.clear(Seqno(1));
        assert_eq!(set(&manager, "e").0, 2);
        assert_sound(&manager);
        let expelled = expeller.join().expect("its assertions hold");

        assert_eq!(held(&read(&manager, dcp)), "e2");
        let flush = manager
            .begin_flush(ReadLimit::NONE)
            .expect("the other one ended or is void");
        assert_eq!(held(flush.batch()), "e2");
        flush.commit();
        assert_eq!(manager.expel(), 1);
        assert_eq!(manager.stats().expelled, expelled as u64 + 1);
        assert_sound(&manager);
        assert_eq!(manager.stats().memory_bytes(), 0);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("clear_against_expel", &[Fault::ClearKeepsTheFlush]);
}

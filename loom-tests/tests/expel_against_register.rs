//! A consumer that registers during an expel gets every item it lacks from memory, or a request to
//! backfill.
//!
//! The new consumer has everything up to 1. If the expel comes first, 2 and 3 are gone, and
//! registering must report it. If it comes later, the new cursor holds it back. Were the decision
//! (is anything gone above `after`?) and the cursor's appearance in the table two critical
//! sections, loom would expel between them. Registering would report that nothing is missing, and
//! the consumer would read nothing.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::fault::Fault;
use lowtide_loom_tests::{
    active, assert_caught, assert_sound, cursor, every_order, held, read, set,
};

#[test]
fn expel_against_register() {
    every_order(|| {
        let manager = active(false);
        let fast = cursor(&manager, "fast");
        for key in ["a", "b", "c"] {
            set(&manager, key);
        }
        read(&manager, fast);
        let expeller = {
            let manager = manager.clone();
            thread::spawn(move || {
                let expelled = manager.expel();
                set(&manager, "d");
                expelled
            })
        };
        let late = manager
            .register("late", Seqno(1), lowtide_checkpoint::CursorOptions::new())
            .expect("1 was queued");
        let first = held(&read(&manager, late.cursor));
        let expelled = expeller.join().expect("its assertions hold");
        let all = [first, held(&read(&manager, late.cursor))].join(" ");
        match (late.backfill, expelled) {
            (true, 3) => assert_eq!((all.trim(), late.next), ("d4", Seqno(4))),
            (false, 1 | 3) => assert_eq!((all.trim(), late.next), ("b2 c3 d4", Seqno(2))),
            other => panic!("(backfill, expelled) is {other:?}"),
        }
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("expel_against_register", &[Fault::ExpelInTwoSteps]);
}

//! Expelling takes nothing from a cursor that has not read it, nor from a batch that is being
//! walked.
//!
//! One cursor reads and walks while another thread reads with the other cursor and expels twice.
//! The walker's items lie in chunks of two slots, so whole chunks leave the queue during the walk.
//! The walker would miss an item if expelling looked at the lowest cursor and advanced the base in
//! two critical sections, or freed a chunk that a batch holds. If it counted wrongly, the counts
//! would not add up to the number queued.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_loom_tests::{
    Turn, active, assert_caught, assert_sound, cursor, every_order, held, held_in_turns, read, set,
};

#[test]
fn expel_against_read() {
    every_order(|| {
        let manager = active(false);
        let (slow, fast) = (cursor(&manager, "slow"), cursor(&manager, "fast"));
        for key in ["a", "b", "c"] {
            set(&manager, key);
        }
        let turn = Turn::new();
        let expeller = {
            let (manager, turn) = (manager.clone(), turn.clone());
            thread::spawn(move || {
                let before = manager.expel();
                assert_eq!(before, 0, "fast has read nothing");
                assert_eq!(held(&read(&manager, fast)), "a1 b2 c3");
                turn.take();
                let expelled = manager.expel();
                turn.take();
                expelled
            })
        };
        let batch = read(&manager, slow);
        assert_eq!(held_in_turns(&batch, &turn), "a1 b2 c3");
        let expelled = expeller.join().expect("its assertions hold");
        assert!(
            expelled == 0 || expelled == 3,
            "a batch is read in one step: {expelled}"
        );
        assert_eq!(held(&batch), "a1 b2 c3");
        assert_eq!(expelled + manager.expel(), 3);
        assert!(
            manager.stats().reader_bytes > 0,
            "the batch is all that is left of them"
        );
        drop(batch);
        assert_eq!(manager.stats().memory_bytes(), 0);
        assert_eq!((manager.stats().items, manager.stats().expelled), (0, 3));
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("expel_against_read", &[Fault::ExpelToTheHighest]);
}

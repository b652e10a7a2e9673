//! A batch is a consistent snapshot at the seqno it was read at, whatever is queued while it is
//! walked.
//!
//! One thread queues newer revisions of both keys, the other reads and walks its batch without the
//! lock. The range of a batch says at which seqno it was read, and there is one right answer for
//! each. loom runs the writes before, between and after the items of the walk, and lets its relaxed
//! loads of `superseded_by` return any value the memory model allows. A walker must not take the
//! mark of a later revision for its own, miss one that it was bound to see, or see a half-written
//! one: it would lose or repeat a key.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_loom_tests::{
    Turn, active, assert_caught, assert_sound, cursor, end, every_order, held, held_in_turns, read,
    set,
};

#[test]
fn append_against_read() {
    every_order(|| {
        let manager = active(false);
        let reader = cursor(&manager, "reader");
        set(&manager, "a");
        set(&manager, "b");
        let turn = Turn::new();
        let writer = {
            let (manager, turn) = (manager.clone(), turn.clone());
            thread::spawn(move || {
                turn.take();
                set(&manager, "a");
                turn.take();
                set(&manager, "b");
                turn.take();
            })
        };
        let first = read(&manager, reader);
        let at_first = match end(&first) {
            2 => "a1 b2",
            3 => "b2 a3",
            4 => "a3 b4",
            other => panic!("nobody queued {other}"),
        };
        assert_eq!(held_in_turns(&first, &turn), at_first);
        writer.join().expect("the writer asserts nothing");

        // The walk is repeated after all writes, and must give the same.
        assert_eq!(held(&first), at_first);
        let rest = match end(&first) {
            2 => "a3 b4",
            3 => "b4",
            _ => "",
        };
        assert_eq!(held(&read(&manager, reader)), rest);
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("append_against_read", &[Fault::BatchForgetsItsEnd]);
}

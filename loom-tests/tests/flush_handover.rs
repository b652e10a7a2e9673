//! A flush that fails during writes, replacements and expels loses nothing: the next one has all
//! that was not durable.
//!
//! A flush of a1 and b2 is in progress; one thread lets it fail, the other replaces a and expels.
//! Whatever the order, the next flush must read b2 and a3. Only the place at which the flush began
//! holds b2 back, since the persistence cursor itself has passed it. Two defects would let loom
//! expel in between, so that the next flush reads a3 alone:
//!
//! - Expelling does not count that place.
//! - Failing moves the cursor back in a second critical section.
//!
//! The result of queueing must fit too: a1 counts as persisted exactly while the flush is in
//! progress.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{Effect, PERSISTENCE, ReadLimit};
use lowtide_loom_tests::{
    Turn, active, assert_caught, assert_sound, every_order, held, held_in_turns, set,
};

#[test]
fn flush_handover() {
    every_order(|| {
        let manager = active(true);
        set(&manager, "a");
        set(&manager, "b");
        let failing = manager.begin_flush(ReadLimit::NONE).expect("the first");
        let turn = Turn::new();
        let writer = {
            let (manager, turn) = (manager.clone(), turn.clone());
            thread::spawn(move || {
                turn.take();
                let (seqno, effect) = set(&manager, "a");
                assert_eq!(seqno, 3);
                assert!(matches!(
                    effect,
                    Effect::Replaced | Effect::ReplacedPersisted
                ));
                turn.take();
                assert_eq!(manager.expel(), 0, "nothing is durable yet");
                effect
            })
        };
        // The failing flush walks its batch to the end first: the snapshot must not have changed.
        assert_eq!(held_in_turns(failing.batch(), &turn), "a1 b2");
        failing.fail();
        let early = manager
            .begin_flush(ReadLimit::NONE)
            .expect("the failed one has ended");
        let in_early = held(early.batch());
        assert!(
            ["a1 b2", "b2 a3"].contains(&in_early.as_str()),
            "{in_early}"
        );
        drop(early);
        writer.join().expect("its assertions hold");

        let last = manager
            .begin_flush(ReadLimit::NONE)
            .expect("no other is in progress");
        assert_eq!(held(last.batch()), "b2 a3");
        last.commit();
        let persistence = manager
            .cursor(PERSISTENCE)
            .expect("it is never unregistered");
        assert_eq!(manager.remaining(persistence), Ok(0));
        assert_eq!(manager.expel(), 2);
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("flush_handover", &[Fault::FlushHoldsNothing]);
}

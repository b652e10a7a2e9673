//! A reader that has kept up reads on without the lock, and gets the same as a read under the lock.
//!
//! There are three models:
//!
//! - The writer repeats a key that may not be replaced, so that one critical section closes the
//!   checkpoint and fills a place of the next chunk.
//! - The writer replaces an item that the reader may have. Every batch must hold the items of its
//!   ranges and no others. If the reader took items published after the checkpoint was closed for
//!   items of the old one, a range would hold the repeated key twice.
//! - The writer expels what the reader says it has read. If it claimed an item too many, that item
//!   would be gone before it is read.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{CheckpointManager, ReadLimit, Seqno, Subscription, SubscriptionEvent};
use lowtide_loom_tests::{
    active, assert_caught, assert_sound, every_order, held, set, set_history,
};

/// Polls once; returns the items and the ranges they came with.
fn poll(subscription: &mut Subscription) -> Option<(String, Vec<(u64, u64)>)> {
    match subscription
        .poll(ReadLimit::NONE)
        .expect("nobody takes its name")
    {
        SubscriptionEvent::Batch(batch) => {
            let ranges = batch
                .ranges()
                .iter()
                .map(|range| (range.start.0, range.end.0))
                .collect();
            Some((held(&batch), ranges))
        }
        SubscriptionEvent::Idle => None,
        other => panic!("{other:?}"),
    }
}

/// Returns a reader that has a1 and stands at the tail.
fn at_the_tail(manager: &CheckpointManager) -> Subscription {
    let mut subscription = manager
        .subscribe("reader", Seqno::ZERO)
        .expect("0 is below every seqno");
    set(manager, "a");
    assert_eq!(
        poll(&mut subscription),
        Some(("a1".to_owned(), vec![(1, 1)]))
    );
    subscription
}

/// Returns what a reader that has a1 polls while and after another thread writes.
fn polled_during(writes: fn(&CheckpointManager)) -> Vec<(String, Vec<(u64, u64)>)> {
    let manager = active(false);
    let mut reader = at_the_tail(&manager);
    let writer = {
        let manager = manager.clone();
        thread::spawn(move || writes(&manager))
    };
    let mut seen: Vec<_> = (0..2).filter_map(|_| poll(&mut reader)).collect();
    writer.join().expect("it asserts nothing");
    while let Some(rest) = poll(&mut reader) {
        seen.push(rest);
    }
    assert_sound(&manager);
    seen
}

fn in_short(seen: &[(String, Vec<(u64, u64)>)]) -> Vec<(&str, &[(u64, u64)])> {
    seen.iter()
        .map(|(items, ranges)| (items.as_str(), &ranges[..]))
        .collect()
}

#[test]
fn repeat_against_tail() {
    every_order(|| {
        let seen = polled_during(|manager| {
            // The second may not replace the first, so one critical section closes the checkpoint
            // and queues it.
            set_history(manager, "b");
            set_history(manager, "b");
        });
        match in_short(&seen)[..] {
            [("b2", [(1, 2)]), ("b3", [(3, 3)])] | [("b2 b3", [(1, 2), (3, 3)])] => {}
            ref other => panic!("{other:?}"),
        }
    });
}

#[test]
fn append_against_tail() {
    every_order(|| {
        let seen = polled_during(|manager| {
            set(manager, "b");
            // One goes to the next chunk, the other replaces an item that the reader may have.
            set(manager, "b");
        });
        match in_short(&seen)[..] {
            [("b2", [(1, 2)]), ("b3", [(1, 3)])] | [("b3", [(1, 3)])] => {}
            ref other => panic!("{other:?}"),
        }
    });
}

#[test]
fn expel_against_tail() {
    every_order(|| {
        let manager = active(false);
        let mut reader = at_the_tail(&manager);
        let writer = {
            let manager = manager.clone();
            thread::spawn(move || {
                set(&manager, "b");
                set(&manager, "c");
                manager.expel();
                set(&manager, "d");
            })
        };
        let mut seen = String::new();
        while reader.seqno() < Seqno(4) {
            match reader.wait(ReadLimit::NONE).expect("nobody takes its name") {
                SubscriptionEvent::Batch(batch) => seen += &held(&batch),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen.replace(' ', ""), "b2c3d4");
        writer.join().expect("it asserts nothing");
        assert_sound(&manager);
    });
}

#[test]
fn broken_variants_are_caught() {
    let reordered = [Fault::ItemsBeforeEpoch, Fault::EpochLookedAtFirst];
    assert_caught("repeat_against_tail", &reordered);
    assert_caught("append_against_tail", &[Fault::BatchForgetsItsEnd]);
    assert_caught("expel_against_tail", &[Fault::ProgressTooFar]);
    // Forces a poll that finds the manager's lock taken.
    assert_caught("repeat_against_tail", &[Fault::BusyTakenForEmpty]);
}

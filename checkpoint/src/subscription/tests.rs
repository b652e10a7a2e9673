//! Subscriptions of a manager: order, backfill, dropped cursors, waiting and stopping.

use bytes::Bytes;

use super::event::{Backfill, SubscriptionEvent};
use super::subscription::{Lock, Subscription};
use crate::error::CheckpointError;
use crate::manager::{CheckpointConfig, CheckpointManager, CursorOptions, ReadLimit};
use crate::model::{Item, Key, Seqno};

fn manager() -> CheckpointManager {
    CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO)
}

fn set(manager: &CheckpointManager, key: &str) -> Seqno {
    let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"v"));
    manager.queue(item).expect("active").seqno
}

/// Returns the event as short text.
fn short(next: SubscriptionEvent) -> String {
    match next {
        SubscriptionEvent::Batch(batch) => batch
            .items()
            .map(|item| format!("{}@{} ", item.key, item.seqno))
            .collect(),
        SubscriptionEvent::Backfill(Backfill { from, to }) => format!("backfill {from}-{to}"),
        SubscriptionEvent::RolledBack(seqno) => format!("rolled back to {seqno}"),
        SubscriptionEvent::Idle => "idle".to_owned(),
        SubscriptionEvent::Stopped => "stopped".to_owned(),
        SubscriptionEvent::Ended(state) => format!("ended: {state}"),
    }
}

fn poll(subscription: &mut Subscription) -> String {
    short(subscription.poll(ReadLimit::NONE).expect("registered"))
}

#[test]
fn poll_returns_batches_in_order_and_then_idle() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    assert_eq!(poll(&mut subscription), "idle");
    set(&manager, "a");
    set(&manager, "b");
    assert_eq!(poll(&mut subscription), "a@1 b@2 ");
    assert_eq!(
        (poll(&mut subscription).as_str(), subscription.seqno()),
        ("idle", Seqno(2))
    );
}

#[test]
fn backfill_comes_before_items_from_memory() {
    let manager = manager();
    for key in ["a", "b", "c"] {
        set(&manager, key);
    }
    manager.expel();
    set(&manager, "d");
    let mut subscription = manager.subscribe("s", Seqno(1)).expect("valid");
    assert_eq!(poll(&mut subscription), "backfill 2-3");
    assert_eq!(poll(&mut subscription), "d@4 ");
}

#[test]
fn dropped_cursor_resumes_with_a_backfill() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    set(&manager, "a");
    assert_eq!(poll(&mut subscription), "a@1 ");
    set(&manager, "b");
    let recovered = manager.recover_memory(1);
    assert_eq!(recovered.cursors_dropped, [], "expelling a was enough");
    let recovered = manager.recover_memory(usize::MAX);
    assert_eq!(
        recovered
            .cursors_dropped
            .iter()
            .map(|name| &**name)
            .collect::<Vec<_>>(),
        ["s"]
    );
    set(&manager, "c");
    assert_eq!(poll(&mut subscription), "backfill 2-2");
    assert_eq!(poll(&mut subscription), "c@3 ");
}

#[test]
fn poll_fails_after_the_name_was_taken_over() {
    let manager = manager();
    let mut first = manager.subscribe("s", Seqno::ZERO).expect("valid");
    let _second = manager.subscribe("s", Seqno::ZERO).expect("valid");
    assert_eq!(
        first.poll(ReadLimit::NONE).map(short),
        Err(CheckpointError::UnknownCursor)
    );
    drop(first);
    assert!(
        manager.cursor("s").is_some(),
        "the first does not remove the second's cursor"
    );
}

/// Found by reading: each report counted a read for every subscription that had read without the
/// lock.
#[test]
fn read_without_the_lock_is_not_counted_as_one_under_it() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    set(&manager, "a");
    assert_eq!(poll(&mut subscription), "a@1 ");
    set(&manager, "b");
    assert_eq!(poll(&mut subscription), "b@2 ", "at the tail");
    let cursor = &manager.cursors()[0];
    assert_eq!((cursor.seqno, cursor.reads), (Seqno(2), 1));
}

#[test]
fn dropped_subscription_removes_its_cursor() {
    let manager = manager();
    drop(manager.subscribe("s", Seqno::ZERO).expect("valid"));
    assert!(manager.cursors().is_empty());
}

#[test]
fn waiting_reader_is_woken_once_for_many_writes() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    assert_eq!(
        poll(&mut subscription),
        "idle",
        "a reader that does not wait is not woken"
    );
    for _ in 0..2 {
        // The step before it sleeps. A repeated one changes nothing.
        let next = subscription
            .next_under_lock(ReadLimit::NONE, Lock::Wait)
            .expect("registered");
        assert_eq!(short(next), "idle");
    }
    for key in ["a", "b", "c"] {
        set(&manager, key);
    }
    assert_eq!(manager.stats().wake_ups, 1);
    assert_eq!(poll(&mut subscription), "a@1 b@2 c@3 ");
}

#[test]
fn wait_ends_with_a_write_or_a_stop() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    let stopper = subscription.stopper();
    let reader = std::thread::spawn(move || {
        let first = short(subscription.wait(ReadLimit::NONE).expect("registered"));
        (
            first,
            short(subscription.wait(ReadLimit::NONE).expect("registered")),
        )
    });
    set(&manager, "a");
    stopper.stop();
    let (first, second) = reader.join().expect("it ends");
    // The stop may come before the first read. The reader never hangs: it reads the write or stops.
    assert!(
        matches!((&*first, &*second), ("a@1 " | "stopped", "stopped")),
        "{first:?} {second:?}"
    );
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn tail_reader_misses_no_replacement_in_a_rewritten_chunk() {
    let manager = manager();
    let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
    set(&manager, "first");
    assert_eq!(poll(&mut subscription), "first@1 ");
    let cursor = manager
        .register("cursor", Seqno(1), CursorOptions::new())
        .expect("valid")
        .cursor;
    // More slots die than tolerated without rewriting, while the reader stands in the first of these
    // chunks. Then the remaining items of the rewritten chunks are replaced, too.
    let all = 0..6_000;
    let (most, rest): (Vec<_>, Vec<_>) = all.clone().partition(|key| key % 8 != 0);
    for key in all.chain(most).chain(rest) {
        set(&manager, &key.to_string());
    }
    let expected: Vec<_> = {
        let batch = manager.read(cursor, ReadLimit::NONE).expect("registered");
        batch.items().map(|item| item.seqno).collect()
    };
    assert_eq!(expected.len(), 6_000);
    let mut seen = Vec::new();
    while let SubscriptionEvent::Batch(batch) =
        subscription.poll(ReadLimit::NONE).expect("registered")
    {
        seen.extend(batch.items().map(|item| item.seqno));
    }
    assert_eq!(seen, expected);
}

//! A reader that found nothing is woken once by the next item, and never sleeps through a stop.
//!
//! A subscription finds nothing and goes to sleep while another thread queues an item, and in the
//! second model a third stops it. Finding nothing and arming the wake-up are one critical section
//! of the manager. If they were two, or if the signal were lowered after arming, an item queued
//! between would wake no thread, and loom would report the reader as deadlocked.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{ReadLimit, Seqno, Subscription, SubscriptionEvent};
use lowtide_loom_tests::{active, assert_caught, assert_sound, every_order, held, set};

/// Waits for one batch; returns its items, or nothing if it was stopped.
fn wait(subscription: &mut Subscription) -> Option<String> {
    match subscription
        .wait(ReadLimit::NONE)
        .expect("nobody takes its name")
    {
        SubscriptionEvent::Batch(batch) => Some(held(&batch)),
        SubscriptionEvent::Stopped => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn append_wakes_the_reader() {
    every_order(|| {
        let manager = active(false);
        let mut subscription = manager
            .subscribe("reader", Seqno::ZERO)
            .expect("0 is below every seqno");
        let writer = {
            let manager = manager.clone();
            thread::spawn(move || {
                set(&manager, "a");
                set(&manager, "b");
            })
        };
        let mut read = wait(&mut subscription).expect("nobody stops it");
        if read == "a1" {
            read = wait(&mut subscription).expect("nobody stops it");
            assert_eq!(read, "b2");
        } else {
            assert_eq!(read, "a1 b2");
        }
        writer.join().expect("it ends");
        assert!(
            manager.stats().wake_ups <= 2,
            "once for each time it had nothing"
        );
        assert_sound(&manager);
    });
}

#[test]
fn stop_wakes_the_reader() {
    every_order(|| {
        let manager = active(false);
        let mut subscription = manager
            .subscribe("reader", Seqno::ZERO)
            .expect("0 is below every seqno");
        let stopper = subscription.stopper();
        let stopping = thread::spawn(move || stopper.stop());
        assert_eq!(wait(&mut subscription), None);
        stopping.join().expect("it ends");
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("append_wakes_the_reader", &[Fault::ArmInTwoSteps]);
}

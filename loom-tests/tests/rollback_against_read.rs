//! A rollback never lets a subscriber mix items that were rolled back with their replacements.
//!
//! One thread reads with a subscription while another rolls back and queues a different item under
//! the same seqno. The reader ends up with the second history, whatever it saw of the first. If it
//! looked for a rollback only before a read, it could deliver the second item after the first
//! unnoticed.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{ReadLimit, Seqno, SubscriptionEvent};
use lowtide_loom_tests::{active, assert_caught, assert_sound, every_order, set};

#[test]
fn rollback_against_read() {
    every_order(|| {
        let manager = active(false);
        let mut subscription = manager
            .subscribe("reader", Seqno::ZERO)
            .expect("0 is below every seqno");
        set(&manager, "first");
        let rolling_back = {
            let manager = manager.clone();
            thread::spawn(move || {
                manager.clear(Seqno::ZERO);
                set(&manager, "second");
                set(&manager, "third");
            })
        };
        let mut seen = Vec::new();
        while seen.len() < 2 {
            match subscription
                .wait(ReadLimit::NONE)
                .expect("nobody takes its name")
            {
                SubscriptionEvent::Batch(batch) => {
                    seen.extend(batch.items().map(|item| item.key.to_string()))
                }
                SubscriptionEvent::RolledBack(seqno) => {
                    seen.truncate(seqno.0 as usize);
                    subscription.resume_from(seqno).expect("as told");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, ["second", "third"]);
        rolling_back.join().expect("it ends");
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("rollback_against_read", &[Fault::RollbackLookedForFirst]);
}

//! Dropping a cursor to recover memory never makes its reader miss an item unnoticed.
//!
//! One thread reads with a subscription while another recovers all memory, which may take the
//! cursor. The reader gets the items, or a request to backfill them, or both for different ones. If
//! the recovery dropped the cursor and freed its items in two critical sections, the reader could
//! register between them and find an unreported gap.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{Backfill, ReadLimit, Seqno, SubscriptionEvent};
use lowtide_loom_tests::{active, assert_caught, assert_sound, every_order, set};

#[test]
fn drop_against_read() {
    every_order(|| {
        let manager = active(false);
        let mut subscription = manager
            .subscribe("reader", Seqno::ZERO)
            .expect("0 is below every seqno");
        set(&manager, "a");
        set(&manager, "b");
        let recovering = {
            let manager = manager.clone();
            thread::spawn(move || {
                manager.recover_memory(usize::MAX);
                set(&manager, "c");
            })
        };
        let mut seen = Vec::new();
        while subscription.seqno() < Seqno(3) {
            match subscription
                .wait(ReadLimit::NONE)
                .expect("nobody takes its name")
            {
                SubscriptionEvent::Batch(batch) => {
                    seen.extend(batch.items().map(|item| item.seqno.0))
                }
                SubscriptionEvent::Backfill(Backfill { from, to, .. }) => {
                    seen.extend(from.0..=to.0)
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, [1, 2, 3]);
        recovering.join().expect("it ends");
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("drop_against_read", &[Fault::DropInTwoSteps]);
}

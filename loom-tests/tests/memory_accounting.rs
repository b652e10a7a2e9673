//! The account and its quota are exact at the end, whichever thread drops a chunk last.
//!
//! One batch is the last holder of a chunk that was expelled: dropping it discharges the account
//! outside the lock while the other thread charges it inside. A second batch shares its chunk with
//! the queue, and either may drop it last: the reader when it is done, or the other thread, which
//! expels and drops what it expelled outside the lock.
//!
//! Two defects would leave bytes at the end, or lose some:
//!
//! - An add is a load and a store.
//! - A chunk is discharged when it leaves the queue, not when it is dropped.
//!
//! While the second batch is walked, the next place of its chunk is filled. If the chunk's length
//! were raised before that, loom would report that the walk looks at a place being written.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{CheckpointConfig, CheckpointManager, Quota, QuotaConfig, Seqno};
use lowtide_loom_tests::{
    Turn, assert_caught, assert_sound, cursor, every_order, held, held_in_turns, read, set,
};

#[test]
fn memory_accounting() {
    every_order(|| {
        let quota = Quota::new(QuotaConfig::default().with_limit_bytes(1 << 20));
        let quota = quota.expect("the marks are in order");
        let config = CheckpointConfig::in_memory().with_quota(Some(quota.clone()));
        let manager = CheckpointManager::new(config, Seqno::ZERO);
        let (reader, other) = (cursor(&manager, "reader"), cursor(&manager, "other"));
        set(&manager, "a");
        let one_chunk = manager.stats().queue_bytes;
        let expelled = read(&manager, reader);
        drop(read(&manager, other));
        assert_eq!(manager.expel(), 1);
        assert_eq!(
            manager.stats().memory_bytes(),
            one_chunk,
            "what the batch holds"
        );
        set(&manager, "b");
        let shared = read(&manager, reader);
        let turn = Turn::new();
        let writer = {
            let (manager, turn) = (manager.clone(), turn.clone());
            thread::spawn(move || {
                turn.take();
                // Fills the second slot of the chunk that `shared` holds.
                set(&manager, "c");
                turn.take();
                drop(read(&manager, other));
                manager.expel();
                turn.take();
            })
        };
        assert_eq!(held(&expelled), "a1");
        turn.take();
        drop(expelled);
        assert_eq!(held_in_turns(&shared, &turn), "b2");
        drop(shared);
        turn.take();
        writer.join().expect("it asserts nothing");

        drop(read(&manager, reader));
        manager.expel();
        let stats = manager.stats();
        assert_eq!(
            (stats.items, stats.expelled, stats.memory_bytes()),
            (0, 3, 0)
        );
        assert_eq!(quota.used_bytes(), 0);
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught(
        "memory_accounting",
        &[
            Fault::ChargeByHalves,
            Fault::QuotaByHalves,
            Fault::LengthBeforeValue,
        ],
    );
}

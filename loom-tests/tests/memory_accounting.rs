//! The account is exact at the end, whoever drops a chunk last and wherever.
//!
//! A reader walks and drops its batch outside the lock while the other thread queues into a chunk the batch holds and
//! expels it, so that either may drop it last, and the charge of a chunk grows while the other thread's goes away. With
//! an add that is a load and a store, or a chunk discharged when it leaves the queue instead of when it is dropped, bytes
//! would be left or missing at the end; on the way readers are never charged more than was ever queued.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_loom_tests::{active, assert_sound, cursor, every_order, held, read, set};

#[test]
fn memory_accounting() {
    every_order(|| {
        let manager = active(false);
        let (reader, other) = (cursor(&manager, "reader"), cursor(&manager, "other"));
        set(&manager, "a");
        let one_chunk = manager.stats().queue_bytes;
        let batch = read(&manager, reader);
        let writer = {
            let manager = manager.clone();
            thread::spawn(move || {
                // The second slot of the chunk the batch holds.
                set(&manager, "b");
                drop(read(&manager, other));
                manager.expel();
                let stats = manager.stats();
                assert!(stats.reader_bytes <= 2 * one_chunk, "{stats:?}");
            })
        };
        assert_eq!(held(&batch), "a1");
        drop(batch);
        drop(read(&manager, reader));
        writer.join().expect("its assertions hold");

        drop(read(&manager, reader));
        manager.expel();
        let stats = manager.stats();
        assert_eq!((stats.items, stats.memory_bytes()), (0, 0));
        assert_sound(&manager);
    });
}

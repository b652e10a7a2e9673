//! Closing a checkpoint under a reader neither loses, repeats nor merges an item, and the closed
//! one is removed once read.
//!
//! A key is queued again behind the boundary, so both revisions must be delivered, in one batch or
//! two, and each checkpoint with its own range. The model fails in three cases:
//!
//! - Closing and opening are two critical sections: a reader could stand in no checkpoint.
//! - The key index outlives the boundary: the newer revision replaces the older one, and a reader
//!   that has seen neither's batch misses a1.
//! - Removal waits for the next operation: a closed checkpoint without a cursor is left at the end,
//!   which `check` reports.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Effect;
use lowtide_checkpoint::fault::Fault;
use lowtide_loom_tests::{
    active, assert_caught, assert_sound, cursor, every_order, held, read, set,
};

#[test]
fn close_against_read() {
    every_order(|| {
        let manager = active(false);
        let reader = cursor(&manager, "reader");
        set(&manager, "a");
        set(&manager, "b");
        let writer = {
            let manager = manager.clone();
            thread::spawn(move || {
                manager.close();
                assert_eq!(set(&manager, "a"), (3, Effect::New));
            })
        };
        let first = read(&manager, reader);
        let ranges = |batch: &lowtide_checkpoint::CursorBatch| {
            batch
                .ranges()
                .iter()
                .map(|range| (range.start.0, range.end.0))
                .collect::<Vec<_>>()
        };
        let rest = match held(&first).as_str() {
            "a1 b2" => {
                assert_eq!(ranges(&first), [(1, 2)]);
                ("a3", vec![(3, 3)])
            }
            "a1 b2 a3" => {
                assert_eq!(ranges(&first), [(1, 2), (3, 3)]);
                ("", vec![])
            }
            other => panic!("read {other}"),
        };
        assert_sound(&manager);
        writer.join().expect("its assertions hold");
        let second = read(&manager, reader);
        assert_eq!((held(&second).as_str(), ranges(&second)), rest);
        assert_eq!(
            (
                manager.stats().checkpoints,
                manager.stats().open_checkpoint_id
            ),
            (1, 2)
        );
        assert_sound(&manager);
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("close_against_read", &[Fault::IndexOutlivesItsCheckpoint]);
}

//! The model of the manager: random operations on it and on a naive model, side by side.
//!
//! Every answer must be the same. After every step the manager's audit must find nothing, and these
//! must agree: diagram, counters, cursors, remaining items, every batch still held, and the memory
//! charged to readers. `PROPTEST_CASES` sets the number of sequences.

use lowtide_checkpoint::{CheckpointConfig, CheckpointManager, Item, Key, Seqno};
use proptest::prelude::*;

mod answers;
mod checkpoint;
mod compare;
mod naive;
mod ops;
mod world;

use world::World;

const CASES_DEFAULT: u32 = 400;

/// Measures the bytes that an item costs beyond key and value, from outside.
///
/// A size limit up to the item's cost closes the checkpoint before the next operation, a higher one
/// does not.
fn overhead_bytes() -> usize {
    let key = Key::new(b"a");
    let closes_at = |max_bytes: usize| {
        let config = CheckpointConfig::in_memory().with_max_bytes(Some(max_bytes));
        let manager = CheckpointManager::new(config, Seqno::ZERO);
        for name in [&key, &Key::new(b"b")] {
            manager
                .queue(Item::deletion(name.clone()))
                .expect("an active accepts it");
        }
        manager.stats().open_checkpoint_id == 2
    };
    let cost = (1..10_000)
        .take_while(|&max_bytes| closes_at(max_bytes))
        .count();
    cost - key.encoded().len()
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn manager_answers_match_the_naive_model() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let overhead_bytes = overhead_bytes();
    proptest!(config, |(setup in ops::setup(), ops in ops::ops())| {
        let mut world = World::new(&setup, overhead_bytes);
        world.compare()?;
        for op in &ops {
            world.step(op)?;
            world.compare()?;
        }
        world.finish()?;
    });
}

//! Loom models of Lowtide's real types: each file in `tests/` runs one race in every order that matters.
//!
//! ```text
//! RUSTFLAGS="--cfg checkpoint_loom" cargo test -p lowtide-loom-tests --release
//! ```
//!
//! Under that cfg the `checkpoint` crate takes its mutex and atomics from loom, nothing else changes; chunks have two
//! slots, so that few items make several. Without the cfg there is nothing here.
//!
//! Preemptions are bounded at three for each run, unless `LOOM_MAX_PREEMPTIONS` says otherwise: the manager's
//! critical sections are short, so a breach needs one or two, and every model ends within seconds.
//!
//! **What loom does not see**: a slot's item is in a `std::sync::OnceLock`. That is sound here, because loom is not
//! needed for it. A slot is filled once, inside the manager's critical section; a batch is made in a later critical
//! section and never looks at a slot that was empty then. So the mutex, which loom does see, orders every fill before
//! every look, and a fill holds no loom object, so no thread can be stopped in the middle of one and block another. If
//! a reader did look at a slot too early it would find it empty and miss an item, and every model counts its items.
#![cfg(checkpoint_loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use checkpoint::{Batch, CheckpointConfig, CheckpointManager, Cursor, Effect, Item, Key, ReadLimit, Seqno};

/// More than any breach of these critical sections needs.
const PREEMPTIONS_MAX: usize = 3;

/// Runs `race` in every order that matters.
///
/// # Panics
/// If an assertion of `race` fails in one of them, or if there is only one: then the race is none.
pub fn every_order(race: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        race();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} orders");
    assert!(runs > 1, "nothing raced");
}

/// An active at seqno 0, with the persistence cursor or without.
pub fn active(persistence: bool) -> CheckpointManager {
    let config = CheckpointConfig { persistence, ..CheckpointConfig::default() };
    CheckpointManager::new(config, Seqno::ZERO)
}

/// A cursor that has nothing yet.
pub fn cursor(manager: &CheckpointManager, name: &str) -> Cursor {
    let registration = manager.register(name, Seqno::ZERO, true).expect("0 is below every seqno");
    assert!(!registration.backfill);
    registration.cursor
}

/// Queues a mutation.
pub fn set(manager: &CheckpointManager, key: &str) -> (u64, Effect) {
    let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
    let queued = manager.queue(item).expect("an active takes anything");
    (queued.seqno.0, queued.effect)
}

/// Reads everything.
pub fn read(manager: &CheckpointManager, cursor: Cursor) -> Batch {
    manager.read(cursor, ReadLimit::NONE).expect("it is registered")
}

/// The items of a batch as `a1 b2`: walks it, outside any lock.
pub fn held(batch: &Batch) -> String {
    let items = batch.items().map(|item| format!("{}{}", item.key, item.seqno));
    items.collect::<Vec<_>>().join(" ")
}

/// The end of its last range; 0 when it is empty.
pub fn end(batch: &Batch) -> u64 {
    batch.ranges().last().map_or(0, |range| range.end.0)
}

/// The same, taking a turn before each item.
pub fn held_in_turns(batch: &Batch, turn: &Turn) -> String {
    let mut items = batch.items();
    let mut walked = Vec::new();
    loop {
        turn.take();
        let Some(item) = items.next() else { return walked.join(" ") };
        walked.push(format!("{}{}", item.key, item.seqno));
    }
}

/// A step that threads take between theirs, in every order, without synchronising anything.
///
/// loom keeps one last access for each object, and stops a walker at a slot only for a store that follows the walker's
/// load directly; but the manager looks at a slot before it marks it, and that look hides the walker's. So walkers and
/// writers both take turns here, which makes loom run whole writes between any two items of a walk.
#[derive(Clone, Debug)]
pub struct Turn(Arc<loom::sync::atomic::AtomicUsize>);

impl Turn {
    /// Nobody's turn yet.
    #[expect(clippy::new_without_default, reason = "it makes sense only inside a model")]
    pub fn new() -> Self {
        Self(Arc::new(loom::sync::atomic::AtomicUsize::new(0)))
    }

    /// Takes a turn.
    pub fn take(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What must hold whenever nobody is inside.
pub fn assert_sound(manager: &CheckpointManager) {
    assert_eq!(manager.check(), Vec::<String>::new());
}

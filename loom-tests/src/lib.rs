//! Loom models of Lowtide's real types: each file in `tests/` runs one race in every order that
//! matters.
//!
//! ```text
//! RUSTFLAGS="--cfg checkpoint_loom" cargo test -p lowtide-loom-tests --release
//! ```
//!
//! Under that cfg the `checkpoint` crate, the log store of `persistence`, and the places where a
//! store's threads wait for one another take their mutex and atomics from loom; nothing else changes. Chunks have two slots and segments may be small, so
//! that a few items fill several. Without the cfg this crate is empty.
//!
//! Preemptions are bounded at three for each run, unless `LOOM_MAX_PREEMPTIONS` says otherwise. The
//! manager's critical sections are short, so a breach needs one or two, and every model ends within
//! seconds.
//!
//! The models, except the one of a stop, also run with a fault switched on in the code
//! (`lowtide_checkpoint::fault`), and must fail then: a model proves only what it can see. A faulty
//! model may end its process, so it runs in a child process (`assert_caught`, `assert_log_caught`).
//!
//! Each read and write of a chunk's place is reported to loom, though the place itself is the one
//! that ships. A read that nothing orders behind the write fails the model.
#![cfg(checkpoint_loom)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub mod log_store;

use bytes::Bytes;
use lowtide_checkpoint::fault::{self, Fault};
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointManager, Cursor, CursorBatch, Effect, Item, Key, ReadLimit, Seqno,
};
use lowtide_persistence::fault::Fault as StoreFault;

/// Bound above the preemptions that any breach of these critical sections needs.
const PREEMPTIONS_MAX: usize = 3;

/// Runs `race` in every order that matters.
///
/// # Panics
///
/// If an assertion of `race` fails in one of them, or if there is only one order, which is no race.
pub fn every_order(race: impl Fn() + Send + Sync + 'static) {
    every_order_of(PREEMPTIONS_MAX, race);
}

/// Same as [`every_order`] with another bound on preemptions: a store's operations have dozens of
/// critical sections each.
///
/// # Panics
///
/// Same as [`every_order`].
pub fn every_order_of(preemptions: usize, race: impl Fn() + Send + Sync + 'static) {
    match chosen_fault() {
        Some(Chosen::OfCheckpoint(fault)) => fault::switch(Some(fault)),
        Some(Chosen::OfStore(fault)) => lowtide_persistence::fault::switch(Some(fault)),
        None => {}
    }
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 20_000;
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

/// Environment variable with the fault that the process is started with.
const FAULT: &str = "LOWTIDE_LOOM_FAULT";

enum Chosen {
    OfCheckpoint(Fault),
    OfStore(StoreFault),
}

fn chosen_fault() -> Option<Chosen> {
    let name = std::env::var(FAULT).ok()?;
    let of_checkpoint = ALL_FAULTS
        .into_iter()
        .find(|fault| format!("{fault:?}") == name);
    let of_store = STORE_FAULTS
        .into_iter()
        .find(|fault| format!("{fault:?}") == name);
    let fault = of_checkpoint
        .map(Chosen::OfCheckpoint)
        .or(of_store.map(Chosen::OfStore));
    Some(
        fault.unwrap_or_else(|| {
            panic!("{FAULT}={name} is none of {ALL_FAULTS:?}, {STORE_FAULTS:?}")
        }),
    )
}

/// Every fault, so that a process finds its fault by name.
const ALL_FAULTS: [Fault; 18] = [
    Fault::BatchForgetsItsEnd,
    Fault::ExpelToTheHighest,
    Fault::ExpelInTwoSteps,
    Fault::IndexOutlivesItsCheckpoint,
    Fault::FlushHoldsNothing,
    Fault::ClearKeepsTheFlush,
    Fault::DropInTwoSteps,
    Fault::ArmInTwoSteps,
    Fault::WakerInTwoSteps,
    Fault::ChargeByHalves,
    Fault::QuotaByHalves,
    Fault::LengthBeforeValue,
    Fault::ItemsBeforeEpoch,
    Fault::EpochLookedAtFirst,
    Fault::RollbackLookedForFirst,
    Fault::ReclaimerLowersLate,
    Fault::ProgressTooFar,
    Fault::BusyTakenForEmpty,
];

/// Every fault of the log store, and of the threads of a store.
const STORE_FAULTS: [StoreFault; 15] = [
    StoreFault::ClosedBeforeItIsIndexed,
    StoreFault::RelocatedAnyway,
    StoreFault::FreedWhileRead,
    StoreFault::SegmentTakenLate,
    StoreFault::CommitsBesideLoadLost,
    StoreFault::BusyTakenForLoaded,
    StoreFault::BusyTakenForOld,
    StoreFault::BusyBlockForgotten,
    StoreFault::WaiterRegistersLate,
    StoreFault::InboxLowersLate,
    StoreFault::MarkClearedBlindly,
    StoreFault::LeaderLeavesMail,
    StoreFault::GateClosedBlindly,
    StoreFault::EndIsNotKept,
    StoreFault::WakeUpTakenForPersisted,
];

/// Runs the model named `model` of the calling test program again with each of the faults, and
/// expects it to fail.
///
/// # Panics
///
/// If it passes, or did not run.
pub fn assert_caught(model: &str, faults: &[Fault]) {
    faults
        .iter()
        .for_each(|fault| assert_fails(model, &format!("{fault:?}")));
}

/// Same as [`assert_caught`], for faults of the log store.
///
/// # Panics
///
/// Same as [`assert_caught`].
pub fn assert_log_caught(model: &str, faults: &[StoreFault]) {
    faults
        .iter()
        .for_each(|fault| assert_fails(model, &format!("{fault:?}")));
}

fn assert_fails(model: &str, fault: &str) {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(&program);
    command
        .args([model, "--exact", "--nocapture", "--test-threads=1"])
        .env(FAULT, fault);
    let output = command.output().expect("it ran a moment ago");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("running 1 test"),
        "{model} is not there:\n{text}"
    );
    assert!(!output.status.success(), "{model} does not see {fault}");
    assert!(
        text.contains("panicked at"),
        "{model} with {fault} failed otherwise:\n{text}"
    );
}

/// Returns an active at seqno 0, with the persistence cursor or without.
pub fn active(persistence: bool) -> CheckpointManager {
    let config = CheckpointConfig::in_memory().with_persistence(persistence);
    CheckpointManager::new(config, Seqno::ZERO)
}

/// Registers a cursor that has read nothing yet.
pub fn cursor(manager: &CheckpointManager, name: &str) -> Cursor {
    let registration = manager
        .register(name, Seqno::ZERO, lowtide_checkpoint::CursorOptions::new())
        .expect("0 is below every seqno");
    assert!(!registration.backfill);
    registration.cursor
}

/// Queues a mutation.
pub fn set(manager: &CheckpointManager, key: &str) -> (u64, Effect) {
    let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
    let queued = manager.queue(item).expect("an active takes anything");
    (queued.seqno.0, queued.effect)
}

/// Queues a mutation that every reader must see.
pub fn set_history(manager: &CheckpointManager, key: &str) {
    let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
    manager
        .queue(Item {
            history: true,
            ..item
        })
        .expect("an active takes anything");
}

/// Reads everything.
pub fn read(manager: &CheckpointManager, cursor: Cursor) -> CursorBatch {
    manager
        .read(cursor, ReadLimit::NONE)
        .expect("it is registered")
}

/// Returns the items of a batch as `a1 b2`, walking it outside any lock.
pub fn held(batch: &CursorBatch) -> String {
    let items = batch
        .items()
        .map(|item| format!("{}{}", item.key, item.seqno));
    items.collect::<Vec<_>>().join(" ")
}

/// Returns the end of its last range; 0 if it is empty.
pub fn end(batch: &CursorBatch) -> u64 {
    batch.ranges().last().map_or(0, |range| range.end.0)
}

/// Same as [`held`], but takes a turn before each item.
pub fn held_in_turns(batch: &CursorBatch, turn: &Turn) -> String {
    let mut items = batch.items();
    let mut walked = Vec::new();
    loop {
        turn.take();
        let Some(item) = items.next() else {
            return walked.join(" ");
        };
        walked.push(format!("{}{}", item.key, item.seqno));
    }
}

/// A step that threads take between their own steps, in every order, without synchronising
/// anything.
///
/// loom keeps one last access for each object, and stops a walker at a slot only for a store that
/// follows the walker's load directly. But the manager looks at a slot before it marks it, and that
/// look hides the walker's. So walkers and writers both take turns here, which makes loom run whole
/// writes between any two items of a walk.
#[derive(Clone, Debug)]
pub struct Turn(Arc<loom::sync::atomic::AtomicUsize>);

impl Turn {
    /// Returns a turn that no thread has taken yet.
    #[expect(
        clippy::new_without_default,
        reason = "it makes sense only inside a model"
    )]
    pub fn new() -> Self {
        Self(Arc::new(loom::sync::atomic::AtomicUsize::new(0)))
    }

    /// Takes a turn.
    pub fn take(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Checks that the manager is sound while no thread is inside.
pub fn assert_sound(manager: &CheckpointManager) {
    assert_eq!(manager.check(), Vec::<String>::new());
}

//! The log store's `try_lock` branches: each must be right if another thread has the lock (L26,
//! L39).
//!
//! A commit that is short of space loads what is not loaded, unless upkeep is loading it. Upkeep
//! asks for the age of the active segment, unless a commit writes to it. A get evicts from the
//! cache, and passes over a block that another get reads. loom by itself explores such a branch
//! only if the critical section has a point at which loom switches threads. That of a block has
//! none: see `TryMutex` in checkpoint's `sync`.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::log_store::{
    BIG, TurnDisk, assert_holds, commit, get, open, open_with_small_cache, run,
};
use lowtide_loom_tests::{assert_log_caught, every_order_of};
use lowtide_persistence::Engine;
use lowtide_persistence::fault::Fault;
use lowtide_persistence::logstor::Logstor;

const VB: Vbid = Vbid(1);

fn live_bytes(engine: &Logstor) -> u64 {
    engine.stats().common.live_bytes
}

#[test]
fn load_against_load() {
    every_order_of(3, || {
        let disk = TurnDisk::new();
        let engine = open(&disk);
        engine.create(VB).expect("new");
        commit(&engine, &[(VB, 1, "a", BIG)]);
        commit(&engine, &[(VB, 2, "b", 10)]);
        let live = live_bytes(&engine);
        engine.close().expect("closed");
        drop(engine);
        let engine = open(&disk);
        let loader = {
            let engine = engine.clone();
            thread::spawn(move || {
                // There is a job unless the other thread has loaded it.
                if let Some(job) = engine.maintenance() {
                    run(job);
                }
            })
        };
        // The result depends on the other thread.
        let _ = engine.load_one_beside().expect("nothing fails");
        assert_eq!(get(&engine, VB, "a"), Some((1, BIG)), "loaded or not");
        loader.join().expect("its assertions hold");
        assert_eq!(live_bytes(&engine), live, "what lives is counted once");
        assert_holds(&disk, engine, &[(VB, "a", (1, BIG)), (VB, "b", (2, 10))]);
    });
}

#[test]
fn upkeep_against_commit() {
    every_order_of(3, || {
        let disk = TurnDisk::new();
        let engine = open(&disk);
        engine.create(VB).expect("new");
        let writer = {
            let engine = engine.clone();
            thread::spawn(move || commit(&engine, &[(VB, 1, "a", 10)]))
        };
        assert!(!engine.is_upkeep_due(), "nothing is old, mixed or garbage");
        writer.join().expect("its assertions hold");
        assert!(!engine.is_upkeep_due());
    });
}

#[test]
fn eviction_against_get() {
    every_order_of(3, || {
        let disk = TurnDisk::new();
        let engine = open_with_small_cache(&disk);
        engine.create(VB).expect("new");
        commit(&engine, &[(VB, 1, "a", 10)]);
        commit(&engine, &[(VB, 2, "b", BIG)]);
        commit(&engine, &[(VB, 3, "c", 10)]);
        // The cache keeps one block, this one.
        assert_eq!(get(&engine, VB, "a"), Some((1, 10)));
        let reader = {
            let engine = engine.clone();
            thread::spawn(move || assert_eq!(get(&engine, VB, "a"), Some((1, 10))))
        };
        assert_eq!(get(&engine, VB, "c"), Some((3, 10)));
        reader.join().expect("its assertions hold");
        assert_eq!(engine.check(VB).expect("readable"), [""; 0]);
    });
}

#[test]
fn broken_variants_are_caught() {
    assert_log_caught("load_against_load", &[Fault::BusyTakenForLoaded]);
    assert_log_caught("upkeep_against_commit", &[Fault::BusyTakenForOld]);
    assert_log_caught("eviction_against_get", &[Fault::BusyBlockForgotten]);
}

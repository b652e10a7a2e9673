//! Tests of the lock order: each wrong order panics.

use super::mutex::{Condvar, Mutex};
use super::rank::{Rank, held};

#[test]
fn rising_ranks_are_taken_and_released_in_any_order() {
    let (low, high) = (Mutex::new(Rank::VBucket, ()), Mutex::new(Rank::Manager, ()));
    for _ in 0..2 {
        let (first, second) = (low.lock(), high.lock());
        drop(first);
        drop(second);
        let second = high.lock();
        drop(second);
    }
    assert_eq!(held(), 0);
}

#[test]
#[should_panic(expected = "lock order: VBucket is taken")]
fn lower_rank_panics() {
    let (low, high) = (Mutex::new(Rank::VBucket, ()), Mutex::new(Rank::Manager, ()));
    let _second = high.lock();
    let _first = low.lock();
}

#[test]
#[should_panic(expected = "lock order: Manager is taken")]
fn equal_rank_panics() {
    let (one, other) = (Mutex::new(Rank::Manager, ()), Mutex::new(Rank::Manager, ()));
    let _one = one.lock();
    let _other = other.lock();
}

#[test]
#[should_panic(expected = "lock order: VBucket is taken")]
fn lower_rank_panics_when_it_is_only_tried() {
    let (low, high) = (Mutex::new(Rank::VBucket, ()), Mutex::new(Rank::Manager, ()));
    let _second = high.lock();
    let _first = low.try_lock();
}

#[test]
fn failed_attempt_leaves_no_rank() {
    let mutex = Mutex::new(Rank::VBucket, ());
    let guard = mutex.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(mutex.try_lock().is_none());
            assert_eq!(held(), 0);
        });
    });
    drop(guard);
}

#[test]
#[should_panic(expected = "lock order: a thread waits for Signal")]
fn waiting_under_a_lock_panics() {
    let (state, raised) = (
        Mutex::new(Rank::Manager, ()),
        Mutex::new(Rank::Signal, false),
    );
    let _state = state.lock();
    drop(Condvar::new().wait(raised.lock()));
}

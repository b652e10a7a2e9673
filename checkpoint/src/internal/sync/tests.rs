//! Tests of the lock order: each wrong order panics.

use super::native::{Condvar, Mutex, RwLock};
use super::rank::{Rank, held};

const LOW: Rank = Rank::new(1, "low");
const HIGH: Rank = Rank::new(63, "high");

#[test]
fn rising_ranks_are_taken_and_released_in_any_order() {
    let low = Mutex::new(LOW, ());
    let high = RwLock::new(HIGH, ());
    for _ in 0..2 {
        let (first, second) = (low.lock(), high.read());
        drop(first);
        drop(second);
        let (first, second) = (low.lock(), high.write());
        drop(first);
        drop(second);
        drop(high.read());
    }
    assert_eq!(held(), 0);
}

#[test]
#[should_panic(expected = "lock order: low is taken while high is held")]
fn lower_rank_panics() {
    let (low, high) = (Mutex::new(LOW, ()), Mutex::new(HIGH, ()));
    let _second = high.lock();
    let _first = low.lock();
}

#[test]
#[should_panic(expected = "lock order: high is taken while high is held")]
fn equal_rank_panics() {
    let (one, other) = (Mutex::new(HIGH, ()), Mutex::new(HIGH, ()));
    let _one = one.lock();
    let _other = other.lock();
}

#[test]
#[should_panic(expected = "lock order: low is taken while high is held")]
fn lower_rank_panics_when_it_is_only_tried() {
    let (low, high) = (Mutex::new(LOW, ()), Mutex::new(HIGH, ()));
    let _second = high.lock();
    let _first = low.try_lock();
}

#[test]
#[should_panic(expected = "lock order: low is taken while high is held")]
fn lower_rank_panics_under_a_read_lock() {
    let (low, high) = (RwLock::new(LOW, ()), RwLock::new(HIGH, ()));
    let _second = high.read();
    let _first = low.read();
}

#[test]
#[should_panic(expected = "lock order: high is taken while high is held")]
fn two_read_locks_of_one_rank_panic() {
    let lock = RwLock::new(HIGH, ());
    let _one = lock.read();
    let _other = lock.read();
}

#[test]
#[should_panic(expected = "lock order: low is taken while high is held")]
fn lower_rank_panics_under_a_write_lock() {
    let (low, high) = (RwLock::new(LOW, ()), RwLock::new(HIGH, ()));
    let _second = high.write();
    let _first = low.write();
}

#[test]
fn failed_attempt_leaves_no_rank() {
    let mutex = Mutex::new(LOW, ());
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
#[should_panic(expected = "lock order: a thread waits for high while low is held")]
fn waiting_under_a_lock_panics() {
    let (state, raised) = (Mutex::new(LOW, ()), Mutex::new(HIGH, false));
    let _state = state.lock();
    drop(Condvar::new().wait(raised.lock()));
}

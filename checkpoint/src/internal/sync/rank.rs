//! Ranks of locks: the one order in which a thread takes them.
//!
//! Two threads that take two locks in opposite orders wait for each other for ever. No test finds
//! that reliably, because it needs an unlucky moment. A wrong order is found at once, in any test
//! that takes it.
//!
//! # Invariants
//! - A thread takes a lock only if its rank is above the rank of every lock that the thread holds.
//!   Debug builds verify this, also where a lock is only tried.
//! - Release builds store no rank and execute nothing for it.

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
use std::cell::Cell;

/// Number of ranks.
const RANKS: u8 = 64;

/// The place of a lock in the order. Each lock has a constant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    any(not(debug_assertions), checkpoint_loom),
    allow(dead_code, reason = "debug builds verify the order")
)]
pub struct Rank {
    number: u8,
    name: &'static str,
}

impl Rank {
    /// Creates a rank. `name` is the field of the lock, for messages.
    ///
    /// # Panics
    /// If `number` is 64 or more: in a constant, the compiler reports it.
    #[must_use]
    pub const fn new(number: u8, name: &'static str) -> Self {
        assert!(number < RANKS, "ranks are below 64");
        Self { number, name }
    }
}

/// The locks that a thread holds.
#[cfg(all(debug_assertions, not(checkpoint_loom)))]
struct HeldLocks {
    /// Bit `number` is set while a lock of that rank is held.
    numbers: Cell<u64>,
    /// The name of the lock last taken of each rank.
    names: [Cell<&'static str>; RANKS as usize],
}

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
impl HeldLocks {
    /// Returns the name of the held lock of the highest rank.
    fn highest(&self) -> &'static str {
        let highest = self.numbers.get().checked_ilog2();
        let name = highest.and_then(|number| self.names.get(number as usize));
        name.map_or("", Cell::get)
    }
}

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
std::thread_local! {
    static HELD: HeldLocks = const {
        HeldLocks {
            numbers: Cell::new(0),
            names: [const { Cell::new("") }; RANKS as usize],
        }
    };
}

/// Returns the ranks of the locks that this thread holds, one bit each.
#[cfg(all(test, debug_assertions, not(checkpoint_loom)))]
pub(super) fn held() -> u64 {
    HELD.with(|held| held.numbers.get())
}

/// The rank of one lock. Empty in release builds.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockRank(#[cfg(all(debug_assertions, not(checkpoint_loom)))] Rank);

#[cfg_attr(
    any(not(debug_assertions), checkpoint_loom),
    expect(clippy::unused_self, reason = "debug builds have a rank")
)]
impl LockRank {
    pub(super) const fn new(_rank: Rank) -> Self {
        Self(
            #[cfg(all(debug_assertions, not(checkpoint_loom)))]
            _rank,
        )
    }

    /// Records that this thread is about to take the lock.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock of the same or a higher rank.
    #[inline]
    #[track_caller]
    pub(super) fn take(self) -> Held {
        #[cfg(all(debug_assertions, not(checkpoint_loom)))]
        HELD.with(|held| {
            let Rank { number, name } = self.0;
            let numbers = held.numbers.get();
            assert!(
                numbers >> number == 0,
                "lock order: {name} is taken while {} is held",
                held.highest()
            );
            held.numbers.set(numbers | 1 << number);
            if let Some(held) = held.names.get(usize::from(number)) {
                held.set(name);
            }
        });
        Held(
            #[cfg(all(debug_assertions, not(checkpoint_loom)))]
            self.0,
        )
    }
}

/// The record of a lock that this thread holds, until it is dropped. Empty in release builds.
#[derive(Debug)]
pub(super) struct Held(#[cfg(all(debug_assertions, not(checkpoint_loom)))] Rank);

impl Held {
    /// Verifies that the thread, which is about to wait, holds no other lock.
    ///
    /// # Panics
    /// In debug builds, if the thread holds another lock.
    #[inline]
    #[track_caller]
    #[cfg(not(checkpoint_loom))]
    #[cfg_attr(
        not(debug_assertions),
        expect(clippy::unused_self, reason = "debug builds have a rank")
    )]
    pub(super) fn require_no_other(&self) {
        #[cfg(debug_assertions)]
        HELD.with(|held| {
            let Rank { number, name } = self.0;
            held.numbers.set(held.numbers.get() & !(1 << number));
            assert!(
                held.numbers.get() == 0,
                "lock order: a thread waits for {name} while {} is held",
                held.highest()
            );
            held.numbers.set(1 << number);
        });
    }
}

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
impl Drop for Held {
    fn drop(&mut self) {
        HELD.with(|held| held.numbers.set(held.numbers.get() & !(1 << self.0.number)));
    }
}

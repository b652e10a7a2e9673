//! The ranks of locks: the one order in which a thread takes them.
//!
//! Two threads that take two locks in opposite orders wait for each other for ever. No test finds
//! that reliably, because it needs an unlucky moment. A wrong order is found at once, in any test
//! that takes it.
//!
//! # Invariants
//! - A thread takes a lock only if its rank is above the rank of every lock that the thread holds.
//!   Debug builds verify this, also where a lock is only tried.
//! - Release builds store no rank and execute nothing for it.

/// The rank of a lock. Locks of higher ranks are taken while those of lower ranks are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A vBucket.
    VBucket,
    /// A checkpoint manager.
    Manager,
    /// The pending garbage of a reclaimer.
    Reclaimer,
    /// The flag of a signal.
    Signal,
    /// A link between chunks, which is a mutex only under loom.
    #[cfg(checkpoint_loom)]
    Link,
}

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
std::thread_local! {
    /// Bit `rank` is set while this thread holds a lock of that rank.
    static HELD: std::cell::Cell<u8> = const { std::cell::Cell::new(0) };
}

/// Returns the ranks of the locks that this thread holds.
#[cfg(all(test, debug_assertions, not(checkpoint_loom)))]
pub(super) fn held() -> u8 {
    HELD.get()
}

/// The rank of one mutex. Empty in release builds.
#[cfg(not(checkpoint_loom))]
#[derive(Clone, Copy, Debug)]
pub(super) struct MutexRank(#[cfg(debug_assertions)] Rank);

#[cfg(not(checkpoint_loom))]
impl MutexRank {
    pub(super) const fn new(_rank: Rank) -> Self {
        Self(
            #[cfg(debug_assertions)]
            _rank,
        )
    }

    /// Records that this thread is about to take the mutex.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock of the same or a higher rank.
    #[inline]
    #[track_caller]
    #[cfg_attr(
        not(debug_assertions),
        expect(clippy::unused_self, reason = "debug builds have a rank")
    )]
    pub(super) fn take(self) -> Held {
        #[cfg(debug_assertions)]
        {
            let held = HELD.get();
            assert!(
                held >> (self.0 as u8) == 0,
                "lock order: {:?} is taken while locks of the ranks {held:#b} are held",
                self.0
            );
            HELD.set(held | 1 << (self.0 as u8));
        }
        Held(
            #[cfg(debug_assertions)]
            self.0,
        )
    }
}

/// The record of a lock that this thread holds, until it is dropped. Empty in release builds.
#[cfg(not(checkpoint_loom))]
#[derive(Debug)]
pub(super) struct Held(#[cfg(debug_assertions)] Rank);

#[cfg(not(checkpoint_loom))]
impl Held {
    /// Verifies that the thread, which is about to wait, holds no other lock.
    ///
    /// # Panics
    /// In debug builds, if the thread holds another lock.
    #[inline]
    #[track_caller]
    #[cfg_attr(
        not(debug_assertions),
        expect(clippy::unused_self, reason = "debug builds have a rank")
    )]
    pub(super) fn require_no_other(&self) {
        #[cfg(debug_assertions)]
        assert!(
            HELD.get() == 1 << (self.0 as u8),
            "lock order: a thread waits for {:?} and holds another lock",
            self.0
        );
    }
}

#[cfg(all(debug_assertions, not(checkpoint_loom)))]
impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get() & !(1 << (self.0 as u8)));
    }
}

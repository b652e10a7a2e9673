//! The locks that ship: those of parking_lot, with ranks.
//!
//! Their signatures are the same as those of the locks of the models, so that both run one code.

use std::ops::{Deref, DerefMut};

use super::rank::{Held, MutexRank, Rank};

/// parking_lot's mutex with a rank.
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    rank: MutexRank,
    mutex: parking_lot::Mutex<T>,
}

/// A locked [`Mutex`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    held: Held,
}

/// parking_lot's condition variable, which passes the guard through as loom's does.
#[derive(Debug)]
pub(super) struct Condvar(parking_lot::Condvar);

impl<T> Mutex<T> {
    pub(crate) const fn new(rank: Rank, value: T) -> Self {
        Self {
            rank: MutexRank::new(rank),
            mutex: parking_lot::Mutex::new(value),
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.rank.take();
        let guard = self.mutex.lock();
        MutexGuard { guard, held }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = self.rank.take();
        let guard = self.mutex.try_lock()?;
        Some(MutexGuard { guard, held })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl Condvar {
    pub(super) fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }

    #[track_caller]
    pub(super) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        guard.held.require_no_other();
        self.0.wait(&mut guard.guard);
        guard
    }
}

//! The locks that ship: those of parking_lot, with ranks.
//!
//! Their signatures are the same as those of the locks of the models, so that both run one code.
//! They exist under loom too, for what models use and do not examine: a lock that is held across no
//! access to an object of loom cannot block a model.

#[cfg(not(checkpoint_loom))]
use core::time::Duration;
use std::ops::{Deref, DerefMut};

use super::rank::{Held, LockRank, Rank};

/// parking_lot's mutex with a rank.
#[derive(Debug)]
pub struct Mutex<T> {
    rank: LockRank,
    mutex: parking_lot::Mutex<T>,
}

/// A locked [`Mutex`].
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    held: Held,
}

/// parking_lot's reader-writer lock with a rank.
///
/// A read lock counts like any other: a thread holds no two locks of one rank, for reading either.
/// parking_lot makes readers wait behind a waiting writer. Two read locks of one thread, even of two
/// locks of one rank, therefore deadlock with two writers that come in between.
#[derive(Debug)]
pub struct RwLock<T> {
    rank: LockRank,
    lock: parking_lot::RwLock<T>,
}

/// An [`RwLock`] that is locked for reading.
#[derive(Debug)]
pub struct RwLockReadGuard<'a, T> {
    guard: parking_lot::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// An [`RwLock`] that is locked for writing.
#[derive(Debug)]
pub struct RwLockWriteGuard<'a, T> {
    guard: parking_lot::RwLockWriteGuard<'a, T>,
    _held: Held,
}

/// parking_lot's condition variable, which passes the guard through as loom's does.
#[cfg(not(checkpoint_loom))]
#[derive(Debug)]
pub(super) struct Condvar(parking_lot::Condvar);

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self {
            rank: LockRank::new(rank),
            mutex: parking_lot::Mutex::new(value),
        }
    }

    /// Locks the mutex.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.rank.take();
        let guard = self.mutex.lock();
        MutexGuard { guard, held }
    }

    /// Locks the mutex, unless it is locked.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = self.rank.take();
        let guard = self.mutex.try_lock()?;
        Some(MutexGuard { guard, held })
    }

    /// Returns the value. No lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        self.mutex.get_mut()
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.mutex.into_inner()
    }
}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self {
            rank: LockRank::new(rank),
            lock: parking_lot::RwLock::new(value),
        }
    }

    /// Locks for reading.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = self.rank.take();
        let guard = self.lock.read();
        RwLockReadGuard { guard, _held: held }
    }

    /// Locks for writing.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = self.rank.take();
        let guard = self.lock.write();
        RwLockWriteGuard { guard, _held: held }
    }

    /// Returns the value. No lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut()
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

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(not(checkpoint_loom))]
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

    /// Waits until it is notified, or for as long as `timeout`. There are no spurious wake-ups.
    #[track_caller]
    pub(super) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        guard.held.require_no_other();
        self.0.wait_for(&mut guard.guard, timeout);
        guard
    }
}

//! The locks of the models: those of loom, behind the signatures of the locks that ship.
//!
//! They ignore ranks, because loom tries the orders in which threads take locks and finds a deadlock
//! itself. They ignore poison, because a panicking model ends the run.

use core::time::Duration;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use loom::sync::atomic::{AtomicBool, Ordering};
pub use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

use super::rank::Rank;

/// loom's mutex with the signatures of the other one.
#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// loom's reader-writer lock with the signatures of the other one.
#[derive(Debug)]
pub struct RwLock<T>(loom::sync::RwLock<T>);

/// loom's condition variable, which passes the guard through.
#[derive(Debug)]
pub(super) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(super) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is notified. Models have no time, so the time-out never comes.
    pub(super) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.wait(guard)
    }
}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(_rank: Rank, value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks the mutex.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value. No lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    pub fn new(_rank: Rank, value: T) -> Self {
        Self(loom::sync::RwLock::new(value))
    }

    /// Locks for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value. No lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mutex whose `try_lock` can fail in a model.
///
/// loom 0.7 never explores a `try_lock` that finds its mutex locked, unless the critical
/// section has a point at which loom switches threads. Here locking raises an atomic, the
/// guard's drop lowers it, and `try_lock` loads it first. Loom explores these three accesses to
/// one object in every order.
///
/// They are relaxed: the flag orders nothing that the mutex itself does not order. As with
/// parking_lot, an attempt may fail although the mutex was unlocked a moment ago.
#[derive(Debug)]
pub struct TryMutex<T> {
    mutex: Mutex<T>,
    is_held: AtomicBool,
}

/// A locked [`TryMutex`].
#[derive(Debug)]
pub struct TryMutexGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    is_held: &'a AtomicBool,
}

impl<T> TryMutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(rank: Rank, value: T) -> Self {
        Self {
            mutex: Mutex::new(rank, value),
            is_held: AtomicBool::new(false),
        }
    }

    /// Locks the mutex.
    pub fn lock(&self) -> TryMutexGuard<'_, T> {
        self.held(self.mutex.lock())
    }

    /// Locks the mutex, unless it is locked.
    pub fn try_lock(&self) -> Option<TryMutexGuard<'_, T>> {
        if self.is_held.load(Ordering::Relaxed) {
            return None;
        }
        self.mutex.0.try_lock().ok().map(|guard| self.held(guard))
    }

    fn held<'a>(&'a self, guard: MutexGuard<'a, T>) -> TryMutexGuard<'a, T> {
        self.is_held.store(true, Ordering::Relaxed);
        TryMutexGuard {
            guard,
            is_held: &self.is_held,
        }
    }
}

impl<T> Deref for TryMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for TryMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for TryMutexGuard<'_, T> {
    fn drop(&mut self) {
        // Stored before the mutex is unlocked, which the drop of the guard field does next.
        self.is_held.store(false, Ordering::Relaxed);
    }
}

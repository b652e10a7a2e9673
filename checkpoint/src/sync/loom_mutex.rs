//! The locks of the models: those of loom, behind the signatures of the locks that ship.
//!
//! loom tries the orders in which threads take them, and finds a deadlock itself.

use std::ops::{Deref, DerefMut};

pub(crate) use loom::sync::MutexGuard;
use loom::sync::atomic::{AtomicBool, Ordering};

use super::rank::Rank;

/// loom's mutex with the signatures of the other one. It ignores its rank, because loom finds a
/// deadlock itself. A panicking model ends the run, so poison is ignored.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

/// loom's condition variable, which passes the guard through.
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        match self.0.wait(guard) {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl<T> Mutex<T> {
    pub(crate) fn new(_rank: Rank, value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
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
pub(crate) struct TryMutex<T> {
    mutex: Mutex<T>,
    is_held: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct TryMutexGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    is_held: &'a AtomicBool,
}

impl<T> TryMutex<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        Self {
            mutex: Mutex::new(rank, value),
            is_held: AtomicBool::new(false),
        }
    }

    pub(crate) fn lock(&self) -> TryMutexGuard<'_, T> {
        self.held(self.mutex.lock())
    }

    pub(crate) fn try_lock(&self) -> Option<TryMutexGuard<'_, T>> {
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

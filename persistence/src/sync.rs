//! The locks and atomics of the log store: parking_lot's and std's, or loom's under `--cfg
//! checkpoint_loom`.
//!
//! Both have parking_lot's signatures here, which lets the models run the code that ships. Nothing
//! in the log store imports a lock from elsewhere. A mutex on which a thread calls `try_lock` is a
//! [`TryMutex`]: loom would not explore a failed `try_lock` of another lock, and the models' other
//! locks have none.

#[cfg(not(checkpoint_loom))]
pub(crate) use parking_lot::{Mutex, Mutex as TryMutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(not(checkpoint_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(checkpoint_loom)]
pub(crate) use self::model::{Mutex, MutexGuard, RwLock, RwLockReadGuard, TryMutex};
#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

#[cfg(checkpoint_loom)]
mod model {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;

    use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// loom's mutex with parking_lot's signature. A panicking model ends the run: poison has no
    /// meaning here.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// loom's reader-writer lock, likewise.
    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A mutex with `try_lock`. loom 0.7 never explores a `try_lock` that finds its mutex locked,
    /// unless loom can switch threads inside the critical section. Here locking raises an atomic,
    /// dropping the guard lowers it, and `try_lock` reads it first. loom explores three accesses to
    /// one object in every order.
    ///
    /// They are relaxed: the flag orders nothing that the mutex itself does not order. As with
    /// parking_lot's, an attempt may fail even if the mutex was unlocked a moment ago.
    #[derive(Debug, Default)]
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
            // The flag is lowered before the mutex is unlocked: the guard is dropped after this.
            self.is_held.store(false, Ordering::Relaxed);
        }
    }
}

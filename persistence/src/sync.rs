//! The only door to the log store's locks and counters: parking_lot's and std's, or loom's under `--cfg checkpoint_loom`.
//!
//! Both have parking_lot's signatures here, so that the models run the very code that ships. A mutex that some thread only
//! tries to lock is a [`TryMutex`]: the models' other locks have no `try_lock`, because loom would not explore its failure.

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

    /// loom's mutex with parking_lot's signature: a panicking model ends the run, so poison means nothing here.
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

    /// The same for locks that readers share.
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

    /// A mutex that may be found locked. loom 0.7 never explores a `try_lock` that finds its mutex locked unless the
    /// critical section itself has a point at which loom switches threads. Here locking raises an atomic, the guard's drop
    /// lowers it, and `try_lock` looks at it first: three accesses to one object, which loom explores in every order.
    ///
    /// They are relaxed: the flag orders nothing that the mutex itself does not order. As with parking_lot's, an attempt
    /// may fail though the mutex was unlocked a moment ago.
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
            // Before the mutex is unlocked, which the field does when it is dropped after this.
            self.is_held.store(false, Ordering::Relaxed);
        }
    }
}

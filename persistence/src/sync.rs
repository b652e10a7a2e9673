//! The only door to the log store's locks and counters: parking_lot's and std's, or loom's under `--cfg checkpoint_loom`.
//!
//! Both have parking_lot's signatures here, so that the models run the very code that ships.

#[cfg(not(checkpoint_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(not(checkpoint_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(checkpoint_loom)]
pub(crate) use self::model::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

#[cfg(checkpoint_loom)]
mod model {
    use std::sync::PoisonError;

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

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
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
}

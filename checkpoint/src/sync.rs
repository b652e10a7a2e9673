//! The only door to locks and atomics: parking_lot and std, or loom's under `--cfg checkpoint_loom`.
//!
//! Both have parking_lot's signatures here, so that the models run the very code that ships.

#[cfg(not(checkpoint_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(checkpoint_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
pub(crate) use self::model::Mutex;
#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
mod model {
    use loom::sync::MutexGuard;

    /// loom's mutex with parking_lot's signature: a panicking model ends the run, so poison means nothing here.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.lock() {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            }
        }
    }
}

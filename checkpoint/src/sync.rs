//! The only door to locks and atomics: parking_lot and std, or loom's under `--cfg checkpoint_loom`.
//!
//! Both have parking_lot's signatures here, so that the models run the very code that ships. A mutex that some thread only
//! tries to lock is a [`TryMutex`]: the models' other mutexes have no `try_lock`, because loom would not explore its failure.

#[cfg(not(checkpoint_loom))]
use std::sync::OnceLock;
use std::sync::{Arc, Weak};

#[cfg(not(checkpoint_loom))]
use parking_lot::Condvar;
#[cfg(not(checkpoint_loom))]
pub(crate) use parking_lot::{Mutex, Mutex as TryMutex, MutexGuard, MutexGuard as TryMutexGuard};
#[cfg(not(checkpoint_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(checkpoint_loom)]
use self::model::Condvar;
#[cfg(checkpoint_loom)]
pub(crate) use self::model::{Mutex, MutexGuard, TryMutex, TryMutexGuard};
#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A flag one thread sleeps on until another raises it. A flag raised before the sleep ends it at once.
#[derive(Debug)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self {
            raised: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn lower(&self) {
        *self.raised.lock() = false;
    }

    pub(crate) fn wait(&self) {
        let mut raised = self.raised.lock();
        while !*raised {
            #[cfg(not(checkpoint_loom))]
            self.changed.wait(&mut raised);
            #[cfg(checkpoint_loom)]
            {
                raised = self.changed.wait(raised);
            }
        }
    }
}

/// A reference to the next of a chain, set once, that does not keep it alive.
#[derive(Debug)]
pub(crate) struct Link<T>(
    #[cfg(not(checkpoint_loom))] OnceLock<Weak<T>>,
    #[cfg(checkpoint_loom)] Mutex<Option<Weak<T>>>,
);

impl<T> Link<T> {
    pub(crate) fn new() -> Self {
        #[cfg(not(checkpoint_loom))]
        let link = Self(OnceLock::new());
        #[cfg(checkpoint_loom)]
        let link = Self(Mutex::new(None));
        link
    }

    /// Sets it, unless it is set.
    pub(crate) fn set(&self, next: &Arc<T>) {
        #[cfg(not(checkpoint_loom))]
        self.0.get_or_init(|| Arc::downgrade(next));
        #[cfg(checkpoint_loom)]
        self.0.lock().get_or_insert_with(|| Arc::downgrade(next));
    }

    /// `None` if it is not set, the inner `None` if what it referred to is gone.
    pub(crate) fn get(&self) -> Option<Option<Arc<T>>> {
        #[cfg(not(checkpoint_loom))]
        let next = self.0.get().map(Weak::upgrade);
        #[cfg(checkpoint_loom)]
        let next = self.0.lock().as_ref().map(Weak::upgrade);
        next
    }
}

/// What loom is told of accesses to a run of places; nothing without it.
#[derive(Debug)]
pub(crate) struct Accesses(#[cfg(checkpoint_loom)] Box<[loom::cell::UnsafeCell<()>]>);

#[cfg_attr(
    not(checkpoint_loom),
    expect(clippy::unused_self, reason = "under loom they have something to do")
)]
impl Accesses {
    pub(crate) fn new(_places: usize) -> Self {
        Self(
            #[cfg(checkpoint_loom)]
            (0.._places)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
        )
    }

    /// The first so many places are looked at.
    #[inline]
    pub(crate) fn read(&self, _places: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .take(_places)
            .for_each(|place| place.with(|_| ()));
    }

    /// One place is written.
    #[inline]
    pub(crate) fn write(&self, _at: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .skip(_at)
            .take(1)
            .for_each(|place| place.with_mut(|_| ()));
    }
}

#[cfg(checkpoint_loom)]
mod model {
    use std::ops::{Deref, DerefMut};

    pub(crate) use loom::sync::MutexGuard;
    use loom::sync::atomic::{AtomicBool, Ordering};

    /// loom's mutex with parking_lot's signature: a panicking model ends the run, so poison means nothing here.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// loom's condition variable, which hands the guard through.
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

    /// A mutex that may be found locked. loom 0.7 never explores a `try_lock` that finds its mutex locked unless the
    /// critical section itself has a point at which loom switches threads. Here locking raises an atomic, the guard's drop
    /// lowers it, and `try_lock` looks at it first: three accesses to one object, which loom explores in every order.
    ///
    /// They are relaxed: the flag orders nothing that the mutex itself does not order. As with parking_lot's, an attempt
    /// may fail though the mutex was unlocked a moment ago.
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
        pub(crate) fn new(value: T) -> Self {
            Self {
                mutex: Mutex::new(value),
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
            // Before the mutex is unlocked, which the field does when it is dropped after this.
            self.is_held.store(false, Ordering::Relaxed);
        }
    }
}

//! The only access to locks and atomics: those of parking_lot and std, or loom's in its models.
//!
//! `--cfg checkpoint_loom` selects loom's. Both have parking_lot's signatures here, so that the
//! models run the code that ships. A mutex that some thread only tries to lock is a [`TryMutex`].
//! The other mutexes have no `try_lock` under loom, because loom would not explore its failure.

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
use self::loom_sync::Condvar;
#[cfg(checkpoint_loom)]
pub(crate) use self::loom_sync::{Mutex, MutexGuard, TryMutex, TryMutexGuard};
#[cfg(checkpoint_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A flag that one thread waits for and another raises. A flag raised before the wait ends it at
/// once.
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

/// A reference to the next element of a chain. It is set once and does not keep the element alive.
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

    /// Sets the reference, unless it is set.
    pub(crate) fn set(&self, next: &Arc<T>) {
        #[cfg(not(checkpoint_loom))]
        self.0.get_or_init(|| Arc::downgrade(next));
        #[cfg(checkpoint_loom)]
        self.0.lock().get_or_insert_with(|| Arc::downgrade(next));
    }

    /// Returns `None` if it is not set, and `Some(None)` if the element is gone.
    pub(crate) fn get(&self) -> Option<Option<Arc<T>>> {
        #[cfg(not(checkpoint_loom))]
        let next = self.0.get().map(Weak::upgrade);
        #[cfg(checkpoint_loom)]
        let next = self.0.lock().as_ref().map(Weak::upgrade);
        next
    }
}

/// The accesses to a run of cells, reported to loom. Empty without loom.
#[derive(Debug)]
pub(crate) struct Accesses(#[cfg(checkpoint_loom)] Box<[loom::cell::UnsafeCell<()>]>);

#[cfg_attr(
    not(checkpoint_loom),
    expect(clippy::unused_self, reason = "under loom they have something to do")
)]
impl Accesses {
    pub(crate) fn new(_cells: usize) -> Self {
        Self(
            #[cfg(checkpoint_loom)]
            (0.._cells)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
        )
    }

    /// Reports a read of the first `_cells` cells.
    #[inline]
    pub(crate) fn read(&self, _cells: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .take(_cells)
            .for_each(|cell| cell.with(|_| ()));
    }

    /// Reports a write of one cell.
    #[inline]
    pub(crate) fn write(&self, _cell: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .skip(_cell)
            .take(1)
            .for_each(|cell| cell.with_mut(|_| ()));
    }
}

#[cfg(checkpoint_loom)]
mod loom_sync {
    use std::ops::{Deref, DerefMut};

    pub(crate) use loom::sync::MutexGuard;
    use loom::sync::atomic::{AtomicBool, Ordering};

    /// loom's mutex with parking_lot's signature. A panicking model ends the run, so poison is
    /// ignored.
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
            // Stored before the mutex is unlocked, which the drop of the guard field does next.
            self.is_held.store(false, Ordering::Relaxed);
        }
    }
}

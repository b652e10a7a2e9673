//! A weak reference to the next element of a chain, set once.
//!
//! Readers follow it from chunk to chunk without the manager's lock. Under loom it is a mutex, because
//! loom has no once-cell.

#[cfg(not(checkpoint_loom))]
use std::sync::OnceLock;
use std::sync::{Arc, Weak};

#[cfg(checkpoint_loom)]
use super::{loom_locks::Mutex, ranks};

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
        let link = Self(Mutex::new(ranks::LINK, None));
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

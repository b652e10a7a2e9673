//! A store as its jobs know it: they borrow it for a step and hold nothing of it between two steps.
//!
//! Always (L45): a job keeps neither the store nor its lock. A step that has begun ends before the directory is given up;
//! after that a job is refused, and its end touches no file.

use std::sync::{Arc, Weak};

use super::Store;
use crate::contract::EngineError;
use crate::logstor::shared;

/// What a job has of its store.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct BorrowedStore(Weak<Store>);

impl BorrowedStore {
    pub(in crate::logstor) fn of(store: &Arc<Store>) -> Self {
        Self(Arc::downgrade(store))
    }

    /// Runs a step of a job on the store.
    ///
    /// # Errors
    /// [`EngineError::InvalidArgument`] once the store was closed or dropped; [`EngineError::Poisoned`]; those of `step`.
    pub(in crate::logstor) fn step<T>(
        &self,
        step: impl FnOnce(&Arc<Store>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let store = self.0.upgrade().ok_or_else(shared::closed)?;
        let _open = store.steps.read();
        store.shared.check_writable()?;
        step(&store)
    }

    /// Runs the end of a job that was given up: with the store if its files are still its own.
    pub(in crate::logstor) fn end<T>(&self, end: impl FnOnce(Option<&Store>) -> T) -> T {
        let store = self.0.upgrade();
        let open = store.as_ref().map(|store| store.steps.read());
        let is_open = store
            .as_ref()
            .is_some_and(|store| !store.shared.is_closed());
        let result = end(store.as_deref().filter(|_| is_open));
        drop(open);
        result
    }

    /// The store, for what is in memory only.
    pub(in crate::logstor) fn in_memory(&self) -> Option<Arc<Store>> {
        self.0.upgrade()
    }
}

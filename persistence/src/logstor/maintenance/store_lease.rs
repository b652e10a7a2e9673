//! A job's lease on its store: the store is borrowed for a step, and nothing of it is held between
//! two steps.
//!
//! A job belongs to the host, which may keep it longer than the store. A job that owned the store
//! would keep the directory locked.
//!
//! # Invariants
//!
//! A job keeps neither the store nor its directory lock (L45). A step that has begun ends before
//! the directory is released. After that a step is refused, and the end of a job touches no file.

use std::path::Path;
use std::sync::{Arc, Weak};

use super::state::Maintenance;
use crate::contract::EngineError;
use crate::logstor::log::store_closed;

/// Access of a job to its store.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct StoreLease {
    maintenance: Weak<Maintenance>,
    dir: Arc<Path>,
}

impl StoreLease {
    pub(in crate::logstor) fn of(maintenance: &Arc<Maintenance>) -> Self {
        Self {
            maintenance: Arc::downgrade(maintenance),
            dir: maintenance.store.context.dir.as_path().into(),
        }
    }

    /// Runs a step of a job.
    ///
    /// # Errors
    /// [`EngineError::Closed`] once the store was closed or dropped;
    /// [`EngineError::Poisoned`]; errors of `step`.
    pub(in crate::logstor) fn step<T>(
        &self,
        step: impl FnOnce(&Maintenance) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let maintenance = self.maintenance.upgrade();
        let maintenance = maintenance.ok_or_else(|| store_closed(&self.dir))?;
        let _open = maintenance.steps.read();
        maintenance.store.context.check_writable()?;
        step(&maintenance)
    }

    /// Runs the end of a job. Its argument is whether the store's files are still the store's.
    pub(super) fn end<T>(&self, end: impl FnOnce(bool) -> T) -> T {
        let maintenance = self.maintenance.upgrade();
        let _open = maintenance.as_ref().map(|all| all.steps.read());
        let is_open = maintenance
            .as_ref()
            .is_some_and(|all| !all.store.context.is_closed());
        end(is_open)
    }

    /// Returns the store's upkeep if it is in memory, closed or not. For what touches no file.
    pub(in crate::logstor) fn in_memory(&self) -> Option<Arc<Maintenance>> {
        self.maintenance.upgrade()
    }
}

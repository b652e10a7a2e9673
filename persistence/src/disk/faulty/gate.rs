//! The gate that every call on a faulty disk passes: it judges the call by the plan and counts open
//! handles.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::failure::{failure, power_lost, too_many_files};
use crate::sync::native::{Mutex, MutexGuard};
use crate::sync::ranks;

use super::handles::{Handle, Handles};
use super::plan::{Fault, Kind, Plan, Verdict};

/// The plan and the handles of one disk. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    plan: Arc<Mutex<Plan>>,
    handles: Arc<Handles>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            plan: Arc::new(Mutex::new(ranks::FAULTY_PLAN, Plan::default())),
            handles: Arc::default(),
        }
    }
}

impl Gate {
    /// Locks the plan.
    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock()
    }

    /// Returns the counts of open handles.
    pub(super) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Checks that the power is on.
    pub(super) fn check_power(&self, operation: DiskOperation, path: &Path) -> DiskResult<()> {
        if self.plan().is_off() {
            Err(power_lost(operation, path))
        } else {
            Ok(())
        }
    }

    /// Takes a handle, if the limit allows one more.
    pub(super) fn handle(&self, operation: DiskOperation, path: &Path) -> DiskResult<Handle> {
        Handle::take(&self.handles).ok_or_else(|| too_many_files(operation, path))
    }

    /// Counts a call and returns its verdict.
    pub(super) fn judge(&self, kind: Kind) -> Verdict {
        self.plan().next(kind)
    }

    /// Judges a call that is done as a whole or not at all.
    pub(super) fn change<T>(
        &self,
        kind: Kind,
        operation: DiskOperation,
        path: &Path,
        call: impl FnOnce() -> DiskResult<T>,
    ) -> DiskResult<T> {
        match self.judge(kind) {
            Verdict::Proceed => call(),
            Verdict::Off | Verdict::PowerOff => Err(power_lost(operation, path)),
            Verdict::Fail(fault) => {
                if fault == Fault::EioPersisted {
                    call()?;
                }
                Err(failure(operation, path, fault_error(fault)))
            }
        }
    }
}

/// Returns the error that the device reports for a fault.
pub(super) fn fault_error(fault: Fault) -> io::Error {
    match fault {
        Fault::Enospc => io::Error::from(io::ErrorKind::StorageFull),
        Fault::Eio | Fault::Torn { .. } | Fault::EioPersisted => {
            io::Error::other("input/output error (injected)")
        }
    }
}

//! An open file of a faulty disk, whose writes can be torn and whose syncs can fail.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::failure::{failure, failure_at, power_lost};
use crate::disk::memory::MemoryFile;
use crate::disk::traits::DiskFile;

use super::gate::{Gate, fault_error};
use super::handles::Handle;
use super::plan::{Fault, Kind, Verdict};

/// An open file of a [`FaultyDisk`](crate::disk::FaultyDisk).
#[derive(Debug)]
pub(super) struct FaultyFile {
    pub(super) gate: Gate,
    pub(super) path: PathBuf,
    pub(super) file: Arc<MemoryFile>,
    pub(super) _handle: Handle,
}

impl FaultyFile {
    /// Judges a write. `land` writes at most the given number of its bytes.
    fn put(
        &self,
        operation: DiskOperation,
        offset: u64,
        land: impl FnOnce(u64) -> DiskResult<()>,
    ) -> DiskResult<()> {
        let fault = match self.gate.judge(Kind::Write) {
            Verdict::Proceed => return land(u64::MAX),
            Verdict::Off => return Err(power_lost(operation, &self.path)),
            Verdict::PowerOff => {
                // The loss of power is reported whether or not the write succeeds.
                let _ = land(u64::MAX);
                return Err(power_lost(operation, &self.path));
            }
            Verdict::Fail(fault) => fault,
        };
        match fault {
            Fault::Eio | Fault::Enospc => {}
            Fault::Torn { bytes } => land(bytes)?,
            Fault::EioPersisted => land(u64::MAX)?,
        }
        let error = fault_error(fault);
        Err(failure_at(operation, &self.path, offset, error))
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> DiskResult<u64> {
        self.gate.check_power(DiskOperation::Len, &self.path)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        match self.gate.judge(Kind::Other) {
            Verdict::Proceed => self.file.set_len(len),
            Verdict::Off => Err(power_lost(DiskOperation::SetLen, &self.path)),
            Verdict::PowerOff => {
                // The loss of power is reported whether or not the call succeeds.
                let _ = self.file.set_len(len);
                Err(power_lost(DiskOperation::SetLen, &self.path))
            }
            Verdict::Fail(fault) => {
                if fault == Fault::EioPersisted {
                    self.file.set_len(len)?;
                }
                let error = fault_error(fault);
                Err(failure(DiskOperation::SetLen, &self.path, error))
            }
        }
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        let land = |bytes: u64| self.file.preallocate(offset, len.min(bytes));
        self.put(DiskOperation::Preallocate, offset, land)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.gate.check_power(DiskOperation::Read, &self.path)?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.put(DiskOperation::Write, offset, |bytes| match bytes {
            u64::MAX => self.file.write_at(parts, offset),
            _ => self.file.write_at(&first_bytes(parts, bytes), offset),
        })
    }

    fn sync_data(&self) -> DiskResult<()> {
        match self.gate.judge(Kind::Sync) {
            Verdict::Proceed => self.file.sync_data(),
            Verdict::Off | Verdict::PowerOff => {
                Err(power_lost(DiskOperation::SyncData, &self.path))
            }
            Verdict::Fail(fault) => {
                match fault {
                    Fault::EioPersisted => self.file.sync_data()?,
                    Fault::Eio | Fault::Enospc | Fault::Torn { .. } => self.file.fail_sync()?,
                }
                let error = fault_error(fault);
                Err(failure(DiskOperation::SyncData, &self.path, error))
            }
        }
    }
}

/// Returns the first `bytes` bytes of `parts`.
fn first_bytes<'a>(parts: &[&'a [u8]], bytes: u64) -> Vec<&'a [u8]> {
    let mut rest = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut first = Vec::with_capacity(parts.len());
    for part in parts {
        let now = part.get(..rest).unwrap_or(part);
        rest -= now.len();
        first.push(now);
    }
    first
}

//! A memory disk that fails on demand: calls reach a [`MemoryDisk`], except those that a plan makes
//! fail.
//!
//! A test runs a workload once without faults, counts its n I/Os, and repeats it with each of them
//! failing in turn.
//!
//! What always holds: the same calls and the same plan give the same failures and the same disk. A
//! fault is planned for the nth call from now of one of these kinds:
//! - *I/Os* are all calls that change something: `create`, `rename`, `remove`, `create_dir`,
//!   `set_len`, `preallocate`, `write_at`, `sync_data`, `sync_dir`.
//! - *Writes* are `write_at` and `preallocate`.
//! - *Syncs* are `sync_data` and `sync_dir`.
//!
//! Reads, opens, lists and locks are not counted and fail only without power.

mod directory;
mod file;
mod gate;
mod handles;
mod plan;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::{DiskOperation, DiskResult};
use super::failure::failure;
use super::memory::{MemoryDisk, MemoryFile, PowerLoss};
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

use self::directory::{FaultyDirectory, FaultyLock};
use self::file::FaultyFile;
use self::gate::Gate;
use self::handles::Handle;
use self::plan::Kind;

pub use self::plan::Fault;

/// A [`MemoryDisk`] that fails on demand. Clones are handles of the same disk.
///
/// Effects of each [`Fault`]:
///
/// |                | writes                    | syncs of a file              | other calls |
/// |----------------|---------------------------|------------------------------|-------------|
/// | `Eio`          | not done                  | unsynced bytes go into limbo | not done    |
/// | `Enospc`       | not done                  | as `Eio`, but "no space"     | not done    |
/// | `Torn`         | the first bytes, unsynced | as `Eio`                     | as `Eio`    |
/// | `EioPersisted` | done, unsynced as always  | done, but reported as failed | done        |
///
/// Bytes in limbo are still read, but no later sync makes them durable; writing and syncing them
/// again does. A failed sync of a directory changes nothing: the next sync makes its names durable.
/// If several faults meet in one call, the loss of power wins, then a fault for a write or sync,
/// then one for any I/O.
///
/// Handles can be limited like those of a process ([`FaultyDisk::limit_handles`]): open files,
/// directories and locks count, and a list or a sync by name takes one while it runs.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    memory: MemoryDisk,
    gate: Gate,
}

impl FaultyDisk {
    /// Wraps a disk. Nothing fails until a fault is planned.
    #[must_use]
    pub fn new(memory: MemoryDisk) -> Self {
        Self {
            memory,
            gate: Gate::default(),
        }
    }

    /// Returns the disk below, for its usage, and for reads that are not counted.
    #[must_use]
    pub fn memory(&self) -> &MemoryDisk {
        &self.memory
    }

    /// Limits the number of open handles, those that are open included. `None` removes the limit.
    pub fn limit_handles(&self, limit: Option<u64>) {
        self.gate.handles().limit(limit);
    }

    /// Returns the number of open handles.
    #[must_use]
    pub fn open_handles(&self) -> u64 {
        self.gate.handles().open()
    }

    /// Returns the highest number of handles that were open at once.
    #[must_use]
    pub fn open_handles_max(&self) -> u64 {
        self.gate.handles().most()
    }

    /// Makes every later opening of a file fail, as with wrong permissions or a bad sector. `None`
    /// ends that.
    pub fn refuse_open(&self, path: &Path, kind: Option<io::ErrorKind>) {
        self.gate.plan().refuse_open(path, kind);
    }

    /// Returns the number of I/Os so far.
    #[must_use]
    pub fn io_count(&self) -> u64 {
        self.gate.plan().ios()
    }

    /// Plans a fault for the nth write from now. The next one is 1.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        self.gate.plan().fail_write(nth, fault);
    }

    /// Plans [`Fault::Eio`] for the nth sync from now. The next one is 1.
    pub fn fail_sync(&self, nth: u64) {
        self.gate.plan().fail_sync(nth);
    }

    /// Plans a fault for the nth I/O from now. The next one is 1.
    pub fn fail_io(&self, nth: u64, fault: Fault) {
        self.gate.plan().fail_io(nth, fault);
    }

    /// Makes every I/O fail from now on, until [`FaultyDisk::clear_faults`].
    pub fn fail_every_io(&self, fault: Fault) {
        self.gate.plan().fail_every_io(fault);
    }

    /// Plans a loss of power in the middle of the nth I/O from now. The next one is 1. That call
    /// and all later ones fail until [`FaultyDisk::crash`]. A write or a new length is left
    /// unsynced, and the crash decides how much of it survives; any other call is not done.
    pub fn power_off_at_io(&self, nth: u64) {
        self.gate.plan().power_off_at_io(nth);
    }

    /// Turns the power off now. All calls fail until [`FaultyDisk::crash`].
    pub fn power_off(&self) {
        self.gate.plan().power_off();
    }

    /// Returns whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.gate.plan().is_off()
    }

    /// Drops all planned faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.gate.plan().clear();
    }

    /// Loses the power, unless it is off already, and restores it. Faults planned for later stay
    /// planned.
    pub fn crash(&self, keep: PowerLoss) {
        self.memory.crash(keep);
        self.gate.plan().power_on();
    }

    /// Ends the process that uses the disk, as [`MemoryDisk::restart`] does. Faults planned for
    /// later stay planned.
    pub fn restart(&self) {
        self.memory.restart();
        self.gate.plan().power_on();
    }

    /// Same as [`FaultyDisk::crash`], with the choices of [`MemoryDisk::crash_with`].
    pub fn crash_with(&self, choose: &mut dyn FnMut(usize) -> usize) {
        self.memory.crash_with(choose);
        self.gate.plan().power_on();
    }

    fn file(&self, path: &Path, file: Arc<MemoryFile>, handle: Handle) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            gate: self.gate.clone(),
            path: path.to_owned(),
            file,
            _handle: handle,
        })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        self.gate.check_power(DiskOperation::Open, path)?;
        let handle = self.gate.handle(DiskOperation::Open, path)?;
        if let Some(kind) = self.gate.plan().refused(path) {
            return Err(failure(DiskOperation::Open, path, kind.into()));
        }
        Ok(self.file(path, self.memory.open_file(path, access)?, handle))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.gate.check_power(DiskOperation::Create, path)?;
        let handle = self.gate.handle(DiskOperation::Create, path)?;
        let create = || self.memory.create_file(path);
        let file = self
            .gate
            .change(Kind::Other, DiskOperation::Create, path, create)?;
        Ok(self.file(path, file, handle))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.gate
            .change(Kind::Other, DiskOperation::Rename, from, || {
                self.memory.rename(from, to)
            })
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.gate
            .change(Kind::Other, DiskOperation::Remove, path, || {
                self.memory.remove(path)
            })
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.gate.check_power(DiskOperation::List, dir)?;
        let _handle = self.gate.handle(DiskOperation::List, dir)?;
        self.memory.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.gate
            .change(Kind::Other, DiskOperation::CreateDir, dir, || {
                self.memory.create_dir(dir)
            })
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.gate.check_power(DiskOperation::Lock, dir)?;
        let handle = self.gate.handle(DiskOperation::Lock, dir)?;
        Ok(Box::new(FaultyLock {
            _lock: self.memory.lock(dir)?,
            _handle: handle,
        }))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.gate.check_power(DiskOperation::SyncDir, dir)?;
        let _handle = self.gate.handle(DiskOperation::SyncDir, dir)?;
        self.gate
            .change(Kind::Sync, DiskOperation::SyncDir, dir, || {
                self.memory.sync_dir(dir)
            })
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        self.gate.check_power(DiskOperation::Open, dir)?;
        let handle = self.gate.handle(DiskOperation::Open, dir)?;
        let directory = self.memory.open_dir(dir)?;
        Ok(Arc::new(FaultyDirectory {
            gate: self.gate.clone(),
            path: dir.to_owned(),
            directory,
            _handle: handle,
        }))
    }
}

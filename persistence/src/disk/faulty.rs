//! A memory disk that fails on demand: calls go in and reach a [`MemoryDisk`], but for those planned to fail.
//!
//! Always: the same calls and the same plan give the same failures and the same disk. Three things are counted, from
//! when a fault is planned on: *I/Os* are all calls that change something (`create`, `rename`, `remove`,
//! `create_dir`, `set_len`, `preallocate`, `write_at`, `sync_data`, `sync_dir`); *writes* of them are `write_at` and
//! `preallocate`; *syncs* are `sync_data` and `sync_dir`. Reads, opens, lists and locks are not counted and fail only
//! without power. So a workload that counts n I/Os without faults can be tried with each of them failing in turn.

mod handles;
mod plan;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::handles::{Handle, Handles};
pub use self::plan::Fault;
use self::plan::{Kind, Plan, Verdict};
use super::failure::{failure, failure_at, power_lost, too_many_files};
use super::memory::MemoryFile;
use super::{
    Access, Disk, DiskDirectory, DiskFile, DiskLock, DiskOperation, DiskResult, Keep, MemoryDisk,
};

/// A [`MemoryDisk`] that fails on demand. Clones are handles of the same disk.
///
/// What a [`Fault`] does:
///
/// |                | writes                    | syncs of a file                        | other calls    |
/// |----------------|---------------------------|----------------------------------------|----------------|
/// | `Eio`          | not done                  | unsynced bytes go into limbo           | not done       |
/// | `Enospc`       | not done                  | the same, reported as no space         | not done       |
/// | `Torn`         | the first bytes, unsynced | as `Eio`                               | as `Eio`       |
/// | `EioPersisted` | done, unsynced as always  | done: all is durable, and yet reported | done           |
///
/// Bytes in limbo are read as ever, but no later sync makes them durable; writing and syncing them again does. A
/// directory whose sync failed is as it was: the next sync makes its names durable. Where several faults meet in one
/// call, the loss of power comes first, then what was planned for writes and syncs, then what was for any I/O.
///
/// Handles can be limited ([`FaultyDisk::limit_handles`]), as a process's are: files, directories and locks that are open
/// count, and a list or a sync by name takes one for its duration.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    memory: MemoryDisk,
    plan: Arc<Mutex<Plan>>,
    handles: Arc<Handles>,
}

impl FaultyDisk {
    /// Wraps a disk; nothing fails until it is planned.
    #[must_use]
    pub fn new(memory: MemoryDisk) -> Self {
        Self {
            memory,
            plan: Arc::default(),
            handles: Arc::default(),
        }
    }

    /// The disk below, for its usage, and for looking at it without being counted.
    #[must_use]
    pub fn memory(&self) -> &MemoryDisk {
        &self.memory
    }

    /// Lets so many handles be open at once from now on, those that are open included; `None` ends the limit.
    pub fn limit_handles(&self, limit: Option<u64>) {
        self.handles.limit(limit);
    }

    /// Handles that are open.
    #[must_use]
    pub fn open_handles(&self) -> u64 {
        self.handles.open()
    }

    /// The most handles that have been open at once.
    #[must_use]
    pub fn open_handles_max(&self) -> u64 {
        self.handles.most()
    }

    /// Makes each opening of a file fail from now on, as one does whose owner is another or whose sector is bad; `None`
    /// ends that.
    pub fn refuse_open(&self, path: &Path, kind: Option<io::ErrorKind>) {
        self.plan.lock().refuse_open(path, kind);
    }

    /// I/Os so far.
    #[must_use]
    pub fn io_count(&self) -> u64 {
        self.plan.lock().ios()
    }

    /// Plans a fault for the nth write from now, 1 being the next.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        self.plan.lock().fail_write(nth, fault);
    }

    /// Plans [`Fault::Eio`] for the nth sync from now, 1 being the next.
    pub fn fail_sync(&self, nth: u64) {
        self.plan.lock().fail_sync(nth);
    }

    /// Plans a fault for the nth I/O from now, 1 being the next.
    pub fn fail_io(&self, nth: u64, fault: Fault) {
        self.plan.lock().fail_io(nth, fault);
    }

    /// Plans a loss of power in the middle of the nth I/O from now, 1 being the next. That call and all later ones
    /// fail until [`FaultyDisk::crash`]. Of it a write or a new length is left unsynced, so that the crash decides
    /// how much of it survives; other calls are not done.
    pub fn power_off_at_io(&self, nth: u64) {
        self.plan.lock().power_off_at_io(nth);
    }

    /// Turns the power off now: all calls fail until [`FaultyDisk::crash`].
    pub fn power_off(&self) {
        self.plan.lock().power_off();
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.plan.lock().is_off()
    }

    /// Forgets what was planned and did not happen yet.
    pub fn clear_faults(&self) {
        self.plan.lock().clear();
    }

    /// Loses the power, if it is not off already, and brings it back. What was planned for later stays planned.
    pub fn crash(&self, keep: Keep) {
        self.memory.crash(keep);
        self.plan.lock().power_on();
    }

    /// Loses the process that uses it, as [`MemoryDisk::restart`] does. What was planned for later stays planned.
    pub fn restart(&self) {
        self.memory.restart();
        self.plan.lock().power_on();
    }

    /// As [`FaultyDisk::crash`], with the choices of [`MemoryDisk::crash_with`].
    pub fn crash_with(&self, choose: &mut dyn FnMut(usize) -> usize) {
        self.memory.crash_with(choose);
        self.plan.lock().power_on();
    }

    fn check_power(&self, operation: DiskOperation, path: &Path) -> DiskResult<()> {
        if self.is_off() {
            Err(power_lost(operation, path))
        } else {
            Ok(())
        }
    }

    /// Judges a call that is done as a whole or not at all.
    fn change<T>(
        &self,
        kind: Kind,
        operation: DiskOperation,
        path: &Path,
        call: impl FnOnce() -> DiskResult<T>,
    ) -> DiskResult<T> {
        let verdict = self.plan.lock().next(kind);
        match verdict {
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

    fn handle(&self, operation: DiskOperation, path: &Path) -> DiskResult<Handle> {
        Handle::take(&self.handles).ok_or_else(|| too_many_files(operation, path))
    }

    fn file(&self, path: &Path, file: Arc<MemoryFile>, handle: Handle) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
            _handle: handle,
        })
    }
}

fn fault_error(fault: Fault) -> io::Error {
    match fault {
        Fault::Enospc => io::Error::from(io::ErrorKind::StorageFull),
        Fault::Eio | Fault::Torn { .. } | Fault::EioPersisted => {
            io::Error::other("input/output error (injected)")
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        self.check_power(DiskOperation::Open, path)?;
        let handle = self.handle(DiskOperation::Open, path)?;
        if let Some(kind) = self.plan.lock().refused(path) {
            return Err(failure(DiskOperation::Open, path, kind.into()));
        }
        Ok(self.file(path, self.memory.open_file(path, access)?, handle))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        let handle = self.handle(DiskOperation::Create, path)?;
        let create = || self.memory.create_file(path);
        Ok(self.file(
            path,
            self.change(Kind::Other, DiskOperation::Create, path, create)?,
            handle,
        ))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.change(Kind::Other, DiskOperation::Rename, from, || {
            self.memory.rename(from, to)
        })
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.change(Kind::Other, DiskOperation::Remove, path, || {
            self.memory.remove(path)
        })
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.check_power(DiskOperation::List, dir)?;
        let _handle = self.handle(DiskOperation::List, dir)?;
        self.memory.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.change(Kind::Other, DiskOperation::CreateDir, dir, || {
            self.memory.create_dir(dir)
        })
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.check_power(DiskOperation::Lock, dir)?;
        let handle = self.handle(DiskOperation::Lock, dir)?;
        Ok(Box::new(FaultyLock {
            _lock: self.memory.lock(dir)?,
            _handle: handle,
        }))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        let _handle = self.handle(DiskOperation::SyncDir, dir)?;
        self.change(Kind::Sync, DiskOperation::SyncDir, dir, || {
            self.memory.sync_dir(dir)
        })
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        self.check_power(DiskOperation::Open, dir)?;
        let handle = self.handle(DiskOperation::Open, dir)?;
        let directory = self.memory.open_dir(dir)?;
        Ok(Arc::new(FaultyDirectory {
            disk: self.clone(),
            path: dir.to_owned(),
            directory,
            _handle: handle,
        }))
    }
}

/// A directory's lock of a [`FaultyDisk`].
#[derive(Debug)]
struct FaultyLock {
    _lock: Box<dyn DiskLock>,
    _handle: Handle,
}

impl DiskLock for FaultyLock {}

/// An open directory of a [`FaultyDisk`].
#[derive(Debug)]
struct FaultyDirectory {
    disk: FaultyDisk,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
    _handle: Handle,
}

impl DiskDirectory for FaultyDirectory {
    fn sync(&self) -> DiskResult<()> {
        self.disk
            .change(Kind::Sync, DiskOperation::SyncDir, &self.path, || {
                self.directory.sync()
            })
    }
}

/// An open file of a [`FaultyDisk`].
#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Arc<MemoryFile>,
    _handle: Handle,
}

impl FaultyFile {
    /// Judges a write; `land` writes so many bytes of it at most.
    fn put(
        &self,
        operation: DiskOperation,
        offset: u64,
        land: impl FnOnce(u64) -> DiskResult<()>,
    ) -> DiskResult<()> {
        let verdict = self.disk.plan.lock().next(Kind::Write);
        let landing = match verdict {
            Verdict::Proceed => return land(u64::MAX),
            Verdict::Off => return Err(power_lost(operation, &self.path)),
            Verdict::PowerOff => {
                // Whether it could have been done is no longer of interest to anyone.
                let _ = land(u64::MAX);
                return Err(power_lost(operation, &self.path));
            }
            Verdict::Fail(fault) => fault,
        };
        match landing {
            Fault::Eio | Fault::Enospc => {}
            Fault::Torn { bytes } => land(bytes)?,
            Fault::EioPersisted => land(u64::MAX)?,
        }
        Err(failure_at(
            operation,
            &self.path,
            offset,
            fault_error(landing),
        ))
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> DiskResult<u64> {
        self.disk.check_power(DiskOperation::Len, &self.path)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        let verdict = self.disk.plan.lock().next(Kind::Other);
        match verdict {
            Verdict::Proceed => self.file.set_len(len),
            Verdict::Off => Err(power_lost(DiskOperation::SetLen, &self.path)),
            Verdict::PowerOff => {
                // As for writes.
                let _ = self.file.set_len(len);
                Err(power_lost(DiskOperation::SetLen, &self.path))
            }
            Verdict::Fail(fault) => {
                if fault == Fault::EioPersisted {
                    self.file.set_len(len)?;
                }
                Err(failure(
                    DiskOperation::SetLen,
                    &self.path,
                    fault_error(fault),
                ))
            }
        }
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        let land = |bytes: u64| self.file.preallocate(offset, len.min(bytes));
        self.put(DiskOperation::Preallocate, offset, land)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.disk.check_power(DiskOperation::Read, &self.path)?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.put(DiskOperation::Write, offset, |bytes| match bytes {
            u64::MAX => self.file.write_at(parts, offset),
            _ => self.file.write_at(&first_bytes(parts, bytes), offset),
        })
    }

    fn sync_data(&self) -> DiskResult<()> {
        let verdict = self.disk.plan.lock().next(Kind::Sync);
        match verdict {
            Verdict::Proceed => self.file.sync_data(),
            Verdict::Off | Verdict::PowerOff => {
                Err(power_lost(DiskOperation::SyncData, &self.path))
            }
            Verdict::Fail(fault) => {
                match fault {
                    Fault::EioPersisted => self.file.sync_data()?,
                    Fault::Eio | Fault::Enospc | Fault::Torn { .. } => self.file.fail_sync()?,
                }
                Err(failure(
                    DiskOperation::SyncData,
                    &self.path,
                    fault_error(fault),
                ))
            }
        }
    }
}

/// The first so many bytes of `parts`.
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

#[cfg(test)]
mod tests;

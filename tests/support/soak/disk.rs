//! The operating system's files, with failures drawn from a seed: errors of the device, no space, torn
//! writes, and calls that are done although they report a failure.
//!
//! `FaultyDisk` fails on command over memory; this one fails by chance over real files.
//!
//! # Invariants
//!
//! - Only calls that change something fail, and only while the disk is armed.
//! - A failure may be the first of many: a disk that is dead for a while.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use lowtide_persistence::disk::{
    Access, Disk, DiskDirectory, DiskError, DiskErrorKind, DiskFile, DiskLock, DiskOperation,
    DiskResult, OsDisk,
};

use super::lines::Line;
use super::told::tell;
use crate::killing::draw;

/// One of this number of syncs fails.
const SYNCS: u64 = 60;
/// One of this number of other calls fails.
const OTHERS: u64 = 300;
/// Maximum number of calls in a row that fail.
const DEAD_MAX: u64 = 40;

#[derive(Clone, Copy, Debug)]
enum Failure {
    /// Nothing is done.
    Eio,
    /// Nothing is done: no space is left.
    Enospc,
    /// A part of a write is done.
    Torn,
    /// All is done.
    Done,
}

#[derive(Debug)]
struct Chance {
    is_armed: AtomicBool,
    drawn: Mutex<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    seed: u64,
    /// Number of calls that fail from now on.
    dead: u64,
}

/// A disk that fails now and then. Clones are handles of the same disk.
#[derive(Clone, Debug)]
pub(super) struct SoakDisk {
    disk: Arc<dyn Disk>,
    chance: Arc<Chance>,
}

impl SoakDisk {
    /// Returns a disk that does not fail before it is armed.
    pub(super) fn new(seed: u64) -> Self {
        let chance = Chance {
            is_armed: AtomicBool::new(false),
            drawn: Mutex::new(Drawn { seed, dead: 0 }),
        };
        Self {
            disk: Arc::new(OsDisk::new()),
            chance: Arc::new(chance),
        }
    }

    pub(super) fn arm(&self, is_armed: bool) {
        self.chance.is_armed.store(is_armed, Ordering::Relaxed);
    }
}

impl Chance {
    fn next(&self, operation: DiskOperation) -> Option<Failure> {
        if !self.is_armed.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = self.drawn.lock().expect("no panic");
        if drawn.dead > 0 {
            drawn.dead -= 1;
            return Some(Failure::Eio);
        }
        let is_sync = matches!(operation, DiskOperation::SyncData | DiskOperation::SyncDir);
        if draw(&mut drawn.seed, if is_sync { SYNCS } else { OTHERS }) > 0 {
            return None;
        }
        let kind = draw(&mut drawn.seed, 8);
        if kind == 0 {
            drawn.dead = 1 + draw(&mut drawn.seed, DEAD_MAX);
        }
        Some(match kind {
            0..3 => Failure::Eio,
            3..5 => Failure::Enospc,
            5 => Failure::Torn,
            _ => Failure::Done,
        })
    }

    /// Makes a call, unless it is to fail.
    fn pass<T>(
        &self,
        operation: DiskOperation,
        path: &Path,
        call: impl FnOnce() -> DiskResult<T>,
    ) -> DiskResult<T> {
        let Some(failure) = self.next(operation) else {
            return call();
        };
        if matches!(failure, Failure::Done) {
            call()?;
        }
        Err(failed(failure, operation, path))
    }
}

fn failed(failure: Failure, operation: DiskOperation, path: &Path) -> DiskError {
    let (name, kind, source) = match failure {
        Failure::Enospc => (
            "enospc",
            DiskErrorKind::NoSpace,
            io::ErrorKind::StorageFull.into(),
        ),
        Failure::Eio => ("eio", DiskErrorKind::Io, io::Error::other("injected")),
        Failure::Torn => ("torn", DiskErrorKind::Io, io::Error::other("injected")),
        Failure::Done => ("done", DiskErrorKind::Io, io::Error::other("injected")),
    };
    let call = match operation {
        DiskOperation::SyncData | DiskOperation::SyncDir => "sync",
        DiskOperation::Write | DiskOperation::Preallocate => "write",
        _ => "other",
    };
    tell(&[Line::count(&format!("disk-{call}-{name}"), 1)]);
    DiskError {
        operation,
        path: path.to_owned(),
        offset: None,
        kind,
        source,
    }
}

impl Disk for SoakDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, access)?;
        Ok(self.file(path, file))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        let create = || self.disk.create(path);
        let file = self.chance.pass(DiskOperation::Create, path, create)?;
        Ok(self.file(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let rename = || self.disk.rename(from, to);
        self.chance.pass(DiskOperation::Rename, from, rename)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        let remove = || self.disk.remove(path);
        self.chance.pass(DiskOperation::Remove, path, remove)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        let create = || self.disk.create_dir(dir);
        self.chance.pass(DiskOperation::CreateDir, dir, create)
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.disk.lock(dir)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        let sync = || self.disk.sync_dir(dir);
        self.chance.pass(DiskOperation::SyncDir, dir, sync)
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(SoakDirectory {
            directory: self.disk.open_dir(dir)?,
            path: dir.to_owned(),
            chance: Arc::clone(&self.chance),
        }))
    }
}

impl SoakDisk {
    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SoakFile {
            file,
            path: path.to_owned(),
            chance: Arc::clone(&self.chance),
        })
    }
}

#[derive(Debug)]
struct SoakDirectory {
    directory: Arc<dyn DiskDirectory>,
    path: PathBuf,
    chance: Arc<Chance>,
}

impl DiskDirectory for SoakDirectory {
    fn sync(&self) -> DiskResult<()> {
        let sync = || self.directory.sync();
        self.chance.pass(DiskOperation::SyncDir, &self.path, sync)
    }
}

#[derive(Debug)]
struct SoakFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    chance: Arc<Chance>,
}

impl DiskFile for SoakFile {
    fn len(&self) -> DiskResult<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        let set = || self.file.set_len(len);
        self.chance.pass(DiskOperation::SetLen, &self.path, set)
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        let write = || self.file.preallocate(offset, len);
        self.chance
            .pass(DiskOperation::Preallocate, &self.path, write)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        match self.chance.next(DiskOperation::Write) {
            None => self.file.write_at(parts, offset),
            Some(Failure::Torn) => {
                let bytes = parts.concat();
                self.file.write_at(&[&bytes[..bytes.len() / 2]], offset)?;
                Err(failed(Failure::Torn, DiskOperation::Write, &self.path))
            }
            Some(failure) => {
                if matches!(failure, Failure::Done) {
                    self.file.write_at(parts, offset)?;
                }
                Err(failed(failure, DiskOperation::Write, &self.path))
            }
        }
    }

    fn sync_data(&self) -> DiskResult<()> {
        let sync = || self.file.sync_data();
        self.chance.pass(DiskOperation::SyncData, &self.path, sync)
    }
}

//! The real disk: each call is made as system calls of this machine (Unix).
//!
//! # Invariants
//!
//! - A read or write is done as a whole or reported. Interrupted calls are continued.
//! - A write is one system call if the system accepts it at once, however many parts it has.
//! - A directory that `create_dir` made is durable on return, with those above it.
//! - `LOCK` in a directory is the lock's own file: not listed, never removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::numbers::to_u64;

use super::error::{DiskOperation, DiskResult};
use super::failure::{failure, failure_at, locked};
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

const LOCK_FILE: &str = "LOCK";

/// The number of zeros written at a time.
const ZEROS_BYTES: usize = 1 << 20;

/// The file system of this machine (Unix). Paths are used as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// Returns the file system.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        let fail = |source| failure(DiskOperation::Open, path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::ReadWrite)
            .open(path)
            .map_err(fail)?;
        // The system opens directories for reading, and only reads fail.
        if file.metadata().map_err(fail)?.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Arc::new(OsFile {
            file,
            path: path.to_owned(),
        }))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| failure(DiskOperation::Create, path, source))?;
        Ok(Arc::new(OsFile {
            file,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let fail = |source| failure(DiskOperation::Rename, from, source);
        // The system could do it. It would take two syncs to be durable, and callers make one.
        if from.parent() != to.parent() {
            return Err(fail(io::ErrorKind::CrossesDevices.into()));
        }
        if fs::symlink_metadata(from).map_err(fail)?.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        fs::rename(from, to).map_err(fail)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        fs::remove_file(path).map_err(|source| failure(DiskOperation::Remove, path, source))
    }

    /// A name that is not UTF-8 is listed with U+FFFD in place of the invalid bytes. It can't be
    /// opened under that name, but the caller sees a foreign file.
    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        let fail = |source| failure(DiskOperation::List, dir, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(for_system(dir)).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            // A link to a directory is a directory. A dangling link is a name that is taken.
            let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            if !is_dir && entry.file_name() != LOCK_FILE {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        let fail = |source| failure(DiskOperation::CreateDir, dir, source);
        let mut missing: Vec<&Path> = dir
            .ancestors()
            .take_while(|above| !for_system(above).exists())
            .collect();
        fs::create_dir_all(for_system(dir)).map_err(fail)?;
        while let Some(made) = missing.pop() {
            if let Some(above) = made.parent() {
                sync_directory(above).map_err(fail)?;
            }
        }
        Ok(())
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        let fail = |source| failure(DiskOperation::Lock, dir, source);
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(OsLock { file })),
            Err(TryLockError::WouldBlock) => Err(locked(dir)),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        sync_directory(dir).map_err(|source| failure(DiskOperation::SyncDir, dir, source))
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        let file = File::open(for_system(dir))
            .map_err(|source| failure(DiskOperation::Open, dir, source))?;
        Ok(Arc::new(OsDirectory {
            file,
            path: dir.to_owned(),
        }))
    }
}

/// An open directory of an [`OsDisk`].
#[derive(Debug)]
struct OsDirectory {
    file: File,
    path: PathBuf,
}

impl DiskDirectory for OsDirectory {
    fn sync(&self) -> DiskResult<()> {
        self.file
            .sync_all()
            .map_err(|source| failure(DiskOperation::SyncDir, &self.path, source))
    }
}

/// Returns a directory's path for system calls. A bare name is in the empty path, the working
/// directory, which the system calls `.`.
fn for_system(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(for_system(dir))?.sync_all()
}

/// A held lock. The lock file stays: if it were removed, two stores could each hold a lock file of
/// that name.
#[derive(Debug)]
struct OsLock {
    file: File,
}

impl Drop for OsLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting shares the open
        // file for a moment, and the lock with it. If this fails, closing frees the lock a little
        // later.
        let _ = self.file.unlock();
    }
}

impl DiskLock for OsLock {}

/// An open file of an [`OsDisk`].
#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
}

impl OsFile {
    fn put(&self, operation: DiskOperation, bytes: &[u8], offset: u64) -> DiskResult<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| failure_at(operation, &self.path, offset, source))
    }
}

impl DiskFile for OsFile {
    fn len(&self) -> DiskResult<u64> {
        let metadata = self
            .file
            .metadata()
            .map_err(|source| failure(DiskOperation::Len, &self.path, source))?;
        Ok(metadata.len())
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.file
            .set_len(len)
            .map_err(|source| failure(DiskOperation::SetLen, &self.path, source))
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        let zeros = vec![0; ZEROS_BYTES.min(usize::try_from(len).unwrap_or(ZEROS_BYTES))];
        let mut done = 0;
        while done < len {
            let count = usize::try_from(len - done)
                .unwrap_or(ZEROS_BYTES)
                .min(ZEROS_BYTES);
            let now = zeros.get(..count).unwrap_or(&zeros);
            self.put(DiskOperation::Preallocate, now, offset.saturating_add(done))?;
            done += to_u64(now.len());
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(to_u64(done));
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(failure_at(DiskOperation::Read, &self.path, at, source)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        match parts {
            [] => Ok(()),
            [part] => self.put(DiskOperation::Write, part, offset),
            // Copying is cheaper than a system call for each part, and std has no vectored write at
            // an offset.
            parts => self.put(DiskOperation::Write, &parts.concat(), offset),
        }
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file
            .sync_data()
            .map_err(|source| failure(DiskOperation::SyncData, &self.path, source))
    }
}

#[cfg(test)]
mod tests;

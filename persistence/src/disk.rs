//! The door to storage: every byte of I/O of every engine passes through [`Disk`].
//!
//! In go paths and bytes, out come bytes or a [`DiskError`] that says which operation on which file failed.
//! What always holds, for every implementation:
//! - written bytes are read back at once, but survive power loss only after `sync_data` of that file;
//! - a name made, moved or removed survives power loss only after `sync_dir` of its directory;
//! - after a failed `sync_data` the unsynced bytes may never reach the disk, also when a later sync succeeds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

#[cfg(test)]
mod contract;
mod failure;
mod faulty;
mod kept_directory;
mod memory;
mod metered;
mod os;
mod pooled;

pub use faulty::{Fault, FaultyDisk};
#[cfg(test)]
pub(crate) use memory::for_all_choices;
pub use memory::{Keep, MemoryDisk, MemoryUsage};
pub use metered::{DiskStats, MeteredDisk};
pub use os::OsDisk;

pub(crate) use kept_directory::KeptDirectory;
pub(crate) use pooled::PooledDisk;

/// What was being done when a disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOperation {
    /// Open an existing file.
    Open,
    /// Create a new file.
    Create,
    /// Give a file another name.
    Rename,
    /// Remove a name.
    Remove,
    /// List a directory.
    List,
    /// Create a directory.
    CreateDir,
    /// Take a directory's lock.
    Lock,
    /// Ask a file's length.
    Len,
    /// Cut or extend a file.
    SetLen,
    /// Fill a range with written zeros.
    Preallocate,
    /// Read bytes.
    Read,
    /// Write bytes.
    Write,
    /// Make a file's bytes durable.
    SyncData,
    /// Make a directory's names durable.
    SyncDir,
}

impl fmt::Display for DiskOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::CreateDir => "create directory",
            Self::Lock => "lock",
            Self::Len => "get the length of",
            Self::SetLen => "set the length of",
            Self::Preallocate => "preallocate",
            Self::Read => "read",
            Self::Write => "write",
            Self::SyncData => "sync",
            Self::SyncDir => "sync directory",
        })
    }
}

/// How a disk failed, as far as callers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// No such file or directory.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Another process or store holds the lock.
    Locked,
    /// The device or the budget is full.
    NoSpace,
    /// The process, or the system, has as many files open as it may. Nothing was done; it passes when some are closed.
    TooManyFiles,
    /// Power was lost (simulated disks): nothing works until it is back.
    PowerLost,
    /// Anything else the device or the system reports.
    Io,
}

/// A failed disk operation: what, on which path, where in it, and why.
#[derive(Debug)]
pub struct DiskError {
    /// What was being done.
    pub operation: DiskOperation,
    /// On which file or directory.
    pub path: PathBuf,
    /// At which byte offset, for reads and writes.
    pub offset: Option<u64>,
    /// How it failed.
    pub kind: DiskErrorKind,
    /// The system's own word for it.
    pub source: io::Error,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {}", self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What disk operations return.
pub type DiskResult<T> = Result<T, DiskError>;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; writes are errors.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// A device with files in directories.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens an existing file.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is none; whatever the device reports.
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>>;

    /// Creates an empty file that must not exist yet, for reading and writing.
    ///
    /// # Errors
    /// [`DiskErrorKind::AlreadyExists`] if the name is taken; whatever the device reports.
    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>>;

    /// Gives a file another name in the same directory, replacing what had it. Open handles stay valid.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is no `from`; whatever the device reports.
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;

    /// Removes a file's name. Open handles stay valid.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is none; whatever the device reports.
    fn remove(&self, path: &Path) -> DiskResult<()>;

    /// The names of the files (not directories) in a directory, sorted by bytes.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is no such directory; whatever the device reports.
    fn list(&self, dir: &Path) -> DiskResult<Vec<String>>;

    /// Creates a directory and those above it; one that exists is fine.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn create_dir(&self, dir: &Path) -> DiskResult<()>;

    /// Takes a directory for one store; released when the guard is dropped.
    ///
    /// # Errors
    /// [`DiskErrorKind::Locked`] if another holds it.
    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Whatever the device reports; the names may then be lost at the next power loss. A failure of kind
    /// [`DiskErrorKind::TooManyFiles`] comes before anything was synced.
    fn sync_dir(&self, dir: &Path) -> DiskResult<()>;

    /// Opens a directory, so that its names can be made durable also when no more files can be opened.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is none; whatever the device reports.
    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>>;
}

/// An open directory.
pub trait DiskDirectory: Send + Sync + fmt::Debug {
    /// Makes the names in it durable.
    ///
    /// # Errors
    /// Whatever the device reports; the names may then be lost at the next power loss.
    fn sync(&self) -> DiskResult<()>;
}

/// Holds a directory for one store until dropped.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// An open file. Handles are shared; offsets are explicit, so that readers don't disturb one another.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn len(&self) -> DiskResult<u64>;

    /// Whether it holds no byte.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn is_empty(&self) -> DiskResult<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with a hole that reads as zeros.
    ///
    /// # Errors
    /// Whatever the device reports; the length is then unchanged.
    fn set_len(&self, len: u64) -> DiskResult<()>;

    /// Writes zeros over `offset..offset + len`, so that later writes there allocate nothing.
    ///
    /// # Errors
    /// Whatever the device reports; a part may have been written.
    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()>;

    /// Reads up to `buffer.len()` bytes; fewer only where the file ends. Returns how many.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize>;

    /// Writes all `parts`, one after the other, from `offset` on, extending the file where needed.
    ///
    /// # Errors
    /// Whatever the device reports; any part of the bytes may have been written.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()>;

    /// Makes all bytes written so far, and the length, durable.
    ///
    /// # Errors
    /// Whatever the device reports. The unsynced bytes may be lost for good then, whatever later syncs say.
    fn sync_data(&self) -> DiskResult<()>;
}

//! The traits that every disk implements, real or simulated.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(doc)]
use super::error::DiskErrorKind;
use super::error::DiskResult;

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

//! The traits of a disk and of what it opens. Every disk implements them, real or simulated.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(doc)]
use super::error::DiskErrorKind;
use super::error::DiskResult;

/// The access with which a file is opened.
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
    /// [`DiskErrorKind::NotFound`] if there is no such file; any failure of the device.
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>>;

    /// Creates an empty file for reading and writing. It must not exist yet.
    ///
    /// # Errors
    /// [`DiskErrorKind::AlreadyExists`] if the name is taken; [`DiskErrorKind::NotFound`] if there is
    /// no such directory; any failure of the device.
    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>>;

    /// Renames a file within its directory, replacing a file of the new name. Open handles stay
    /// valid.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if `from` does not exist; any failure of the device.
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;

    /// Removes a file's name. Open handles stay valid.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if it does not exist; any failure of the device.
    fn remove(&self, path: &Path) -> DiskResult<()>;

    /// Returns the names of the files (not directories) in a directory, sorted by bytes.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if there is no such directory; any failure of the device.
    fn list(&self, dir: &Path) -> DiskResult<Vec<String>>;

    /// Creates a directory and those above it, durably. An existing one is left as it is.
    ///
    /// # Errors
    /// [`DiskErrorKind::AlreadyExists`] or [`DiskErrorKind::Io`] if one of the names is a file's; any
    /// failure of the device.
    fn create_dir(&self, dir: &Path) -> DiskResult<()>;

    /// Locks a directory for one store, until the guard is dropped.
    ///
    /// # Errors
    /// [`DiskErrorKind::Locked`] if another store holds it; [`DiskErrorKind::NotFound`] if there is no
    /// such directory; any failure of the device.
    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if it does not exist; any failure of the device: the names may then
    /// be lost at the next power loss. A failure of kind [`DiskErrorKind::TooManyFiles`] comes before
    /// anything was synced.
    fn sync_dir(&self, dir: &Path) -> DiskResult<()>;

    /// Opens a directory. Its names can then be made durable even if no more files can be opened.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if it does not exist; any failure of the device.
    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>>;
}

/// An open directory.
pub trait DiskDirectory: Send + Sync + fmt::Debug {
    /// Makes the names in it durable.
    ///
    /// # Errors
    /// Any failure of the device; the names may then be lost at the next power loss.
    fn sync(&self) -> DiskResult<()>;
}

/// A directory's lock, held until dropped.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// An open file. Handles are shared. Offsets are explicit, which keeps readers from disturbing one
/// another.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Returns the file's length in bytes.
    ///
    /// # Errors
    /// Any failure of the device.
    fn len(&self) -> DiskResult<u64>;

    /// Returns whether the file is empty.
    ///
    /// # Errors
    /// Any failure of the device.
    fn is_empty(&self) -> DiskResult<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with a hole that reads as zeros.
    ///
    /// # Errors
    /// Any failure of the device; the length is then the old or the new one.
    fn set_len(&self, len: u64) -> DiskResult<()>;

    /// Writes zeros over `offset..offset + len`. Later writes in that range allocate nothing.
    ///
    /// # Errors
    /// Any failure of the device; a part may have been written.
    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()>;

    /// Reads up to `buffer.len()` bytes, fewer only at the end of the file. Returns the number
    /// read.
    ///
    /// # Errors
    /// Any failure of the device.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize>;

    /// Writes all `parts` one after the other, starting at `offset`, and extends the file if
    /// needed.
    ///
    /// # Errors
    /// Any failure of the device; any part of the bytes may have been written.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()>;

    /// Makes all bytes written before the call durable, and the length.
    ///
    /// # Errors
    /// Any failure of the device. The unsynced bytes may then be lost for good, even if later syncs
    /// succeed.
    fn sync_data(&self) -> DiskResult<()>;
}

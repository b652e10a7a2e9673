//! A disk that keeps its store's directory open: names can be made durable however many files are
//! open.
//!
//! A name and its durability are two calls. Running out of handles between them would leave a store
//! half changed.
//!
//! # Invariants
//!
//! A sync of the kept directory takes no new handle. Everything else passes through.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DiskResult;
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

/// A disk, and one of its directories kept open.
#[derive(Debug)]
pub(crate) struct KeptDirectory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
}

impl KeptDirectory {
    /// Opens `dir`.
    ///
    /// # Errors
    /// Same as [`Disk::open_dir`].
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> DiskResult<Self> {
        let directory = disk.open_dir(dir)?;
        Ok(Self {
            disk,
            path: dir.to_owned(),
            directory,
        })
    }
}

impl Disk for KeptDirectory {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        self.disk.open(path, access)
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.disk.create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.disk.lock(dir)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        if dir == self.path {
            self.directory.sync()
        } else {
            self.disk.sync_dir(dir)
        }
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        if dir == self.path {
            Ok(Arc::clone(&self.directory))
        } else {
            self.disk.open_dir(dir)
        }
    }
}

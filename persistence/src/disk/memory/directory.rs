//! Open directories and locks of a memory disk.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::failure::power_lost;
use crate::disk::traits::{DiskDirectory, DiskLock};
use crate::sync::native::Mutex;

use super::file::Session;
use super::tree::Tree;

/// An open directory of a [`MemoryDisk`](crate::disk::MemoryDisk).
#[derive(Debug)]
pub(super) struct MemoryDirectory {
    pub(super) tree: Arc<Mutex<Tree>>,
    pub(super) path: PathBuf,
    pub(super) session: Arc<Session>,
}

impl DiskDirectory for MemoryDirectory {
    fn sync(&self) -> DiskResult<()> {
        // Under the lock: otherwise the power could be lost between the look and the sync.
        let mut tree = self.tree.lock();
        if !self.session.is_alive() {
            return Err(power_lost(DiskOperation::SyncDir, &self.path));
        }
        tree.sync_dir(&self.path)
    }
}

/// A directory's lock of a [`MemoryDisk`](crate::disk::MemoryDisk).
#[derive(Debug)]
pub(super) struct MemoryLock {
    pub(super) tree: Arc<Mutex<Tree>>,
    pub(super) directory: PathBuf,
    pub(super) number: u64,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.tree.lock().unlock(&self.directory, self.number);
    }
}

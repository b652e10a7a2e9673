//! A file of a pool: it has a handle while it is in use, and afterwards until the pool needs the
//! room.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::failure::failure;
use crate::disk::traits::{Access, DiskFile};
use crate::sync::{Mutex, RwLock, ranks};

use super::Pool;

#[derive(Debug)]
pub(super) struct PooledFile {
    pool: Arc<Pool>,
    number: u64,
    access: Access,
    path: Mutex<PathBuf>,
    /// The handle. Each use holds a copy, which keeps it from being closed meanwhile.
    handle: RwLock<Option<Arc<dyn DiskFile>>>,
    used_at: AtomicU64,
    /// The number of changes begun. Raised by a thread that holds a copy of the handle.
    changes: AtomicU64,
    /// The number of changes that are durable.
    synced: AtomicU64,
    /// Whether it was synced at least once. Until then another process's writes may not be durable.
    was_synced: AtomicBool,
    /// The number of reasons to hold it open.
    kept: AtomicU64,
    /// Whether a sync that made room failed. Each later sync of the file reports it, because the
    /// unsynced bytes may be lost for good.
    has_failed: AtomicBool,
}

impl PooledFile {
    pub(super) fn new(
        pool: Arc<Pool>,
        number: u64,
        path: &Path,
        access: Access,
        handle: Arc<dyn DiskFile>,
    ) -> Self {
        let used_at = AtomicU64::new(pool.tick());
        Self {
            pool,
            number,
            access,
            path: Mutex::new(ranks::POOLED_PATH, path.to_owned()),
            handle: RwLock::new(ranks::POOLED_HANDLE, Some(handle)),
            used_at,
            changes: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            was_synced: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
        }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn access(&self) -> Access {
        self.access
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.lock().clone()
    }

    pub(super) fn set_path(&self, path: &Path) {
        path.clone_into(&mut self.path.lock());
    }

    pub(super) fn used_at(&self) -> u64 {
        self.used_at.load(Ordering::Relaxed)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst) > 0
    }

    pub(super) fn keep(&self) {
        self.kept.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn release(&self) {
        self.kept.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns whether a written change is not durable yet.
    pub(super) fn is_unsynced(&self) -> bool {
        self.changes.load(Ordering::SeqCst) != self.synced.load(Ordering::SeqCst)
    }

    pub(super) fn handle(&self) -> Option<Arc<dyn DiskFile>> {
        self.handle.read().clone()
    }

    pub(super) fn set_handle(&self, handle: Arc<dyn DiskFile>) {
        *self.handle.write() = Some(handle);
    }

    /// Returns a copy of the handle, which keeps it from being closed.
    pub(super) fn acquire(&self) -> DiskResult<Arc<dyn DiskFile>> {
        // Most uses follow one of the same file.
        if self.used_at() != self.pool.now() {
            self.used_at.store(self.pool.tick(), Ordering::Relaxed);
        }
        match self.handle() {
            Some(handle) => Ok(handle),
            None => self.pool.reopen(self),
        }
    }

    /// Closes the handle, if it is not in use and all writes are durable or can be made durable.
    pub(super) fn close(&self) -> bool {
        let mut handle = self.handle.write();
        let Some(open) = handle.as_ref().filter(|open| Arc::strong_count(open) == 1) else {
            return false;
        };
        if self.is_kept() || self.has_failed.load(Ordering::SeqCst) {
            return false;
        }
        if self.is_unsynced() && self.sync(&**open).is_err() {
            self.has_failed.store(true, Ordering::SeqCst);
            return false;
        }
        *handle = None;
        true
    }

    fn sync(&self, handle: &dyn DiskFile) -> DiskResult<()> {
        let changes = self.changes.load(Ordering::SeqCst);
        handle.sync_data()?;
        self.was_synced.store(true, Ordering::SeqCst);
        self.synced.fetch_max(changes, Ordering::SeqCst);
        Ok(())
    }

    fn changing(&self) -> DiskResult<Arc<dyn DiskFile>> {
        let handle = self.acquire()?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(handle)
    }
}

impl Drop for PooledFile {
    fn drop(&mut self) {
        self.pool.forget(self.number);
    }
}

impl DiskFile for PooledFile {
    fn len(&self) -> DiskResult<u64> {
        self.acquire()?.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.changing()?.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        self.changing()?.preallocate(offset, len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.acquire()?.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.changing()?.write_at(parts, offset)
    }

    fn sync_data(&self) -> DiskResult<()> {
        // The handle was closed once all that was written through it was durable. Writes of another
        // process may not be yet.
        let handle = match self.handle() {
            Some(handle) => handle,
            None if self.was_synced.load(Ordering::SeqCst) => return Ok(()),
            None => self.acquire()?,
        };
        if self.has_failed.load(Ordering::SeqCst) {
            let source = std::io::Error::other("an earlier sync of this file failed");
            return Err(failure(DiskOperation::SyncData, &self.path(), source));
        }
        self.sync(&*handle)
    }
}

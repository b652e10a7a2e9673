//! The files of a memory disk and the handles on them.
//!
//! # Invariants
//!
//! A handle works until the power is lost, even if the file's name changes. A call happens as a
//! whole before the power loss, or is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fmt, io};

use super::contents::{Contents, Payload};
use super::image::{Image, PAGE_BYTES};
use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::failure::{failure, failure_at, power_lost};
use crate::disk::traits::{Access, DiskFile};
use crate::numbers::to_u64;
use crate::sync::native::RwLock;
use crate::sync::ranks;

/// The largest length of a file, as on Linux.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// The time between two power losses, and the space in use during it.
#[derive(Debug)]
pub(super) struct Session {
    alive: AtomicBool,
    used_pages: AtomicU64,
    capacity_pages: u64,
}

impl Session {
    pub(super) fn new(capacity_pages: u64) -> Self {
        Self {
            alive: AtomicBool::new(true),
            used_pages: AtomicU64::new(0),
            capacity_pages,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Refuses later calls. A call that already holds a file's lock still completes.
    pub(super) fn end(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    pub(super) fn capacity_pages(&self) -> u64 {
        self.capacity_pages
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_pages
            .load(Ordering::SeqCst)
            .saturating_mul(PAGE_BYTES)
    }

    fn reserve(&self, pages: u64) -> Result<(), io::Error> {
        let take = |used: u64| {
            used.checked_add(pages)
                .filter(|&used| used <= self.capacity_pages)
        };
        match self
            .used_pages
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    fn release(&self, pages: u64) {
        self.used_pages.fetch_sub(pages, Ordering::SeqCst);
    }
}

/// A file, under any number of names.
pub(super) struct Inode {
    session: Arc<Session>,
    contents: RwLock<Contents>,
}

impl Inode {
    /// Returns a file with durable bytes. They exist already: their space is taken even if it
    /// exceeds the capacity.
    pub(super) fn new(session: &Arc<Session>, image: Image) -> Self {
        session
            .used_pages
            .fetch_add(image.pages(), Ordering::SeqCst);
        Self {
            session: Arc::clone(session),
            contents: RwLock::new(ranks::MEMORY_FILE, Contents::new(image)),
        }
    }

    /// Moves the file to another session, with everything unsynced, and leaves this one empty.
    pub(super) fn taken_by(&self, session: &Arc<Session>) -> Self {
        let contents = std::mem::take(&mut *self.contents.write());
        session
            .used_pages
            .fetch_add(contents.current().pages(), Ordering::SeqCst);
        Self {
            session: Arc::clone(session),
            contents: RwLock::new(ranks::MEMORY_FILE, contents),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.contents.read().current().len()
    }

    /// Returns the bytes that a power loss leaves.
    pub(super) fn survivors(&self, choose: &mut dyn FnMut(usize) -> usize) -> Image {
        self.contents.read().survivors(choose)
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        self.session
            .release(self.contents.get_mut().current().pages());
    }
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inode")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// An open file of a [`MemoryDisk`](super::MemoryDisk).
#[derive(Debug)]
pub(in crate::disk) struct MemoryFile {
    inode: Arc<Inode>,
    /// The path it was opened under, for errors.
    path: PathBuf,
    access: Access,
}

impl MemoryFile {
    pub(super) fn new(inode: Arc<Inode>, path: PathBuf, access: Access) -> Self {
        Self {
            inode,
            path,
            access,
        }
    }

    /// Records a failed sync: the unsynced bytes are still read, but later syncs pass them by.
    ///
    /// # Errors
    /// Only if the power was lost. The caller reports the failure itself.
    pub(in crate::disk) fn fail_sync(&self) -> DiskResult<()> {
        let mut contents = self.inode.contents.write();
        self.check_power(DiskOperation::SyncData)?;
        contents.fail_sync();
        Ok(())
    }

    /// Checks that the power is on. Called with the file's lock held: no call outlives the power.
    fn check_power(&self, operation: DiskOperation) -> DiskResult<()> {
        if self.inode.session.is_alive() {
            Ok(())
        } else {
            Err(power_lost(operation, &self.path))
        }
    }

    fn check_writable(&self, operation: DiskOperation) -> DiskResult<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => {
                let source = io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the file was opened read-only",
                );
                Err(failure(operation, &self.path, source))
            }
        }
    }

    fn put(
        &self,
        operation: DiskOperation,
        offset: u64,
        len: u64,
        payload: Payload,
    ) -> DiskResult<()> {
        let fail = |source| failure_at(operation, &self.path, offset, source);
        let mut contents = self.inode.contents.write();
        self.check_power(operation)?;
        self.check_writable(operation)?;
        let end = offset.checked_add(len).filter(|&end| end <= FILE_BYTES_MAX);
        let end = end.ok_or_else(|| fail(io::ErrorKind::FileTooLarge.into()))?;
        self.inode
            .session
            .reserve(contents.current().missing_pages(offset..end))
            .map_err(fail)?;
        contents.write(offset, payload);
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> DiskResult<u64> {
        let contents = self.inode.contents.read();
        self.check_power(DiskOperation::Len)?;
        Ok(contents.current().len())
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        let mut contents = self.inode.contents.write();
        self.check_power(DiskOperation::SetLen)?;
        self.check_writable(DiskOperation::SetLen)?;
        if len > FILE_BYTES_MAX {
            return Err(failure(
                DiskOperation::SetLen,
                &self.path,
                io::ErrorKind::FileTooLarge.into(),
            ));
        }
        self.inode
            .session
            .release(contents.current().pages_beyond(len));
        contents.set_len(len);
        Ok(())
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        self.put(DiskOperation::Preallocate, offset, len, Payload::Zeros(len))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        let contents = self.inode.contents.read();
        self.check_power(DiskOperation::Read)?;
        Ok(contents.current().read(buffer, offset))
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        let bytes = parts.concat();
        self.put(
            DiskOperation::Write,
            offset,
            to_u64(bytes.len()),
            Payload::Bytes(bytes),
        )
    }

    fn sync_data(&self) -> DiskResult<()> {
        let mut contents = self.inode.contents.write();
        self.check_power(DiskOperation::SyncData)?;
        contents.sync();
        Ok(())
    }
}

//! A disk that bounds the number of open handles: files are opened on use, and the least recently
//! used one is closed for them.
//!
//! A store has a file for each vBucket, more than a process may hold open.
//!
//! # Invariants (E33)
//!
//! - A handle is closed only once everything written through it is durable. A failed sync is
//!   reported to the handle that wrote, never to one that is opened later.
//! - Unsynced writes are synced before the handle is closed. If that fails, the handle stays open
//!   and the file's own next sync reports the failure.
//! - A file is held open while its name is changed or removed. A file without a name stays open: it
//!   can't be reopened.
//! - The bound is soft for files that can't be closed: files in use at this moment, files without a
//!   name (old ones that snapshots still read), and files whose sync failed.
//! - A lack of handles is met by closing one more file, as long as one can be closed. After that
//!   the operation fails and has done nothing.
//!
//! The order of uses alone decides which file is closed. Files that need no sync come first.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use self::file::PooledFile;
use super::error::{DiskErrorKind, DiskResult};
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};
use crate::sync::{Mutex, ranks};

/// A disk with a bound on its open files.
#[derive(Clone, Debug)]
pub(crate) struct PooledDisk {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    disk: Arc<dyn Disk>,
    open_max: usize,
    /// Advances when a use follows one of another file.
    clock: AtomicU64,
    files: Mutex<Files>,
}

/// The files of a pool by number, in the order in which they were first opened.
#[derive(Debug, Default)]
struct Files {
    next: u64,
    known: BTreeMap<u64, Weak<PooledFile>>,
    /// Files with a handle.
    open: BTreeMap<u64, Weak<PooledFile>>,
}

/// Files that were visited under the lock. They are dropped after it, because dropping a file takes
/// the lock.
type Seen = Vec<Arc<PooledFile>>;

impl PooledDisk {
    /// Wraps a disk and keeps at most `open_max` files open, at least one.
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        Self {
            pool: Arc::new(Pool {
                disk,
                open_max: open_max.max(1),
                clock: AtomicU64::new(0),
                files: Mutex::new(ranks::POOL_FILES, Files::default()),
            }),
        }
    }

    /// Returns the number of files with a handle.
    pub(crate) fn open_files(&self) -> usize {
        self.pool.files.lock().open.len()
    }
}

impl Pool {
    /// Gets a handle from `open`, closing others to make room, and passes it to `keep`.
    fn handle(
        &self,
        seen: &mut Seen,
        files: &mut Files,
        open: &dyn Fn() -> DiskResult<Arc<dyn DiskFile>>,
    ) -> DiskResult<Arc<dyn DiskFile>> {
        while files.open.len() >= self.open_max && close_one(seen, files) {}
        loop {
            match open() {
                Err(error)
                    if error.kind == DiskErrorKind::TooManyFiles && close_one(seen, files) => {}
                opened => return opened,
            }
        }
    }

    /// Calls a function that may need a handle for a moment. Retries after closing a file if
    /// handles run out.
    fn with_room<T>(&self, call: impl Fn() -> DiskResult<T>) -> DiskResult<T> {
        loop {
            let mut seen = Seen::new();
            match call() {
                Err(error)
                    if error.kind == DiskErrorKind::TooManyFiles
                        && close_one(&mut seen, &mut self.files.lock()) => {}
                called => return called,
            }
        }
    }

    fn adopt(
        self: &Arc<Self>,
        path: &Path,
        access: Access,
        open: &dyn Fn() -> DiskResult<Arc<dyn DiskFile>>,
    ) -> DiskResult<Arc<dyn DiskFile>> {
        let mut seen = Seen::new();
        let mut files = self.files.lock();
        let handle = self.handle(&mut seen, &mut files, open)?;
        let number = files.next;
        files.next += 1;
        let file = Arc::new(PooledFile::new(
            Arc::clone(self),
            number,
            path,
            access,
            handle,
        ));
        files.known.insert(number, Arc::downgrade(&file));
        files.open.insert(number, Arc::downgrade(&file));
        Ok(file)
    }

    /// Reopens a file.
    fn reopen(&self, file: &PooledFile) -> DiskResult<Arc<dyn DiskFile>> {
        let mut seen = Seen::new();
        let mut files = self.files.lock();
        // Another thread may have reopened it first.
        if let Some(handle) = file.handle() {
            return Ok(handle);
        }
        let path = file.path();
        let handle = self.handle(&mut seen, &mut files, &|| {
            self.disk.open(&path, file.access())
        })?;
        file.set_handle(Arc::clone(&handle));
        if let Some(known) = files.known.get(&file.number()).cloned() {
            files.open.insert(file.number(), known);
        }
        Ok(handle)
    }

    fn forget(&self, number: u64) {
        let mut files = self.files.lock();
        files.known.remove(&number);
        files.open.remove(&number);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Opens the files that have this name, and holds them open.
    fn keep_open(&self, path: &Path) -> DiskResult<Seen> {
        let known: Seen = self
            .files
            .lock()
            .known
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        let named: Seen = known
            .into_iter()
            .filter(|file| file.path() == path)
            .collect();
        for (index, file) in named.iter().enumerate() {
            file.keep();
            if let Err(error) = file.acquire() {
                named.iter().take(index + 1).for_each(|file| file.release());
                return Err(error);
            }
        }
        Ok(named)
    }
}

/// Closes the least recently used file that can be closed, preferring files that need no sync.
/// Returns `false` if there is none.
fn close_one(seen: &mut Seen, files: &mut Files) -> bool {
    let first = seen.len();
    seen.extend(files.open.values().filter_map(Weak::upgrade));
    let mut candidates: Vec<_> = seen
        .iter()
        .skip(first)
        .filter(|file| !file.is_kept())
        .collect();
    candidates.sort_by_key(|file| (file.is_unsynced(), file.used_at(), file.number()));
    let closed = candidates.into_iter().find(|file| file.close());
    closed.is_some_and(|file| files.open.remove(&file.number()).is_some())
}

impl Disk for PooledDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        self.pool
            .adopt(path, access, &|| self.pool.disk.open(path, access))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.pool
            .adopt(path, Access::ReadWrite, &|| self.pool.disk.create(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        if from == to {
            return self.pool.with_room(|| self.pool.disk.rename(from, to));
        }
        // A file that has the target name loses it.
        let replaced = self.pool.keep_open(to)?;
        let moved = self.pool.keep_open(from).inspect_err(|_| {
            replaced.iter().for_each(|file| file.release());
        })?;
        // After a failure it is unknown which name each has: they stay open.
        self.pool.with_room(|| self.pool.disk.rename(from, to))?;
        for file in moved {
            file.set_path(to);
            file.release();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        // Removed files stay open, and so do those whose removal failed: the name may be gone.
        let _nameless = self.pool.keep_open(path)?;
        self.pool.with_room(|| self.pool.disk.remove(path))
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.pool.with_room(|| self.pool.disk.list(dir))
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.pool.with_room(|| self.pool.disk.create_dir(dir))
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.pool.with_room(|| self.pool.disk.lock(dir))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.pool.with_room(|| self.pool.disk.sync_dir(dir))
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        self.pool.with_room(|| self.pool.disk.open_dir(dir))
    }
}

#[cfg(test)]
mod tests;

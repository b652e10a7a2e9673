//! A disk on which any number of files can be open while few handles are: a file is opened when it is used, and the one that
//! was not used for longest is closed for it.
//!
//! Always (E33):
//! - A handle is closed only when everything written through it is durable: a failed sync is reported to the handle that
//!   wrote, and to none that is opened later. What is not durable is synced first; if that fails, the handle stays, and so
//!   does the failure: the file's own next sync reports it.
//! - A file that loses its name, or gets another, is open while it does. One without a name stays open: nothing else leads to
//!   it.
//! - The bound is soft for what can't be closed: files in use at this moment, files without a name (old ones that
//!   snapshots still read), and files whose sync failed.
//! - Want of handles is met by closing one more, as long as there is one to close; then it is an error of the operation,
//!   which has done nothing.
//!
//! Which file is closed follows from the order of uses alone: first those that need no sync.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use self::file::PooledFile;
use super::error::{DiskErrorKind, DiskResult};
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

/// A disk with a bound on the files that are open.
#[derive(Clone, Debug)]
pub(crate) struct PooledDisk {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    disk: Arc<dyn Disk>,
    open_max: usize,
    /// Rises with uses of different files.
    clock: AtomicU64,
    files: Mutex<Files>,
}

/// By number, in the order in which they were first opened.
#[derive(Debug, Default)]
struct Files {
    next: u64,
    known: BTreeMap<u64, Weak<PooledFile>>,
    /// Those with a handle.
    open: BTreeMap<u64, Weak<PooledFile>>,
}

/// Files that were looked at under the lock; dropped after it, because a file that is dropped takes the lock.
type Seen = Vec<Arc<PooledFile>>;

impl PooledDisk {
    /// Keeps at most `open_max` files open, at least one.
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        let (clock, files) = (AtomicU64::new(0), Mutex::default());
        Self {
            pool: Arc::new(Pool {
                disk,
                open_max: open_max.max(1),
                clock,
                files,
            }),
        }
    }

    /// Files with a handle.
    pub(crate) fn open_files(&self) -> usize {
        self.pool.files.lock().open.len()
    }
}

impl Pool {
    /// Makes a handle by `open`, closing others for it; then `keep` has it.
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

    /// Calls what may need a handle for a moment.
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

    /// Opens a file again.
    fn reopen(&self, file: &PooledFile) -> DiskResult<Arc<dyn DiskFile>> {
        let mut seen = Seen::new();
        let mut files = self.files.lock();
        // Another thread may have been faster.
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

    /// The files of a name, open and kept so.
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
                named.iter().take(index + 1).for_each(|file| file.let_go());
                return Err(error);
            }
        }
        Ok(named)
    }
}

/// Closes the file that was not used for longest and can be closed; first of those that need no sync.
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
        // Whoever has the name that is taken away is without one.
        let replaced = self.pool.keep_open(to)?;
        let moved = self.pool.keep_open(from).inspect_err(|_| {
            replaced.iter().for_each(|file| file.let_go());
        })?;
        // After a failure nobody knows which name they have: they stay open.
        self.pool.with_room(|| self.pool.disk.rename(from, to))?;
        for file in moved {
            file.set_path(to);
            file.let_go();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        // They stay open.
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

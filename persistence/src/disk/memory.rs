//! A disk in memory that loses what a real one may lose: calls go in, and after [`MemoryDisk::crash`] the files are
//! as a power loss could have left them.
//!
//! Always:
//! - what `sync_data` and `sync_dir` made durable survives, and so does a created directory (as on every [`Disk`]);
//! - of the rest any part may survive: each 512-byte sector as it was after some number of the unsynced changes to
//!   it, each pending name change as a whole, those of one name in order (see `contents` and `names`);
//! - after a power loss all there is is durable, locks are free, and older handles answer
//!   [`DiskErrorKind::PowerLost`](super::DiskErrorKind::PowerLost); after the loss of a process the same, but what was not
//!   synced still is not ([`MemoryDisk::restart`]);
//! - the same calls and the same choices give the same disk.
//!
//! Paths are taken as they are, but for `.`; there are no links. `/` and the empty path exist from the start.

mod contents;
mod file;
mod image;
mod keep;
mod names;
mod ranges;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

pub(super) use self::file::MemoryFile;
use self::file::{Inode, Session};
use self::image::{Image, PAGE_BYTES};
pub use self::keep::Keep;
#[cfg(test)]
pub(crate) use self::keep::for_all_choices;
use self::names::Directory;
use super::failure::{failure, locked, power_lost};
use super::{Access, Disk, DiskDirectory, DiskFile, DiskLock, DiskOperation, DiskResult};

/// A disk in memory. Clones are handles of the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

/// How full a [`MemoryDisk`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Files that have a name.
    pub files: u64,
    /// The sum of their lengths, holes included.
    pub bytes: u64,
    /// The space in use, in pages of 4,096 bytes; files without a name that are still open count too. This is what
    /// the capacity limits.
    pub allocated_bytes: u64,
}

#[derive(Debug)]
struct Tree {
    session: Arc<Session>,
    directories: BTreeMap<PathBuf, Directory<Arc<Inode>>>,
    /// Locked directories, each with its lock's number: a lock from before a power loss must not free a later one.
    locks: BTreeMap<PathBuf, u64>,
    locks_taken: u64,
}

impl MemoryDisk {
    /// The capacity of a disk made without one: more than memory, so that only nonsense hits it.
    pub const CAPACITY_BYTES_DEFAULT: u64 = 64 << 30;

    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity_bytes(Self::CAPACITY_BYTES_DEFAULT)
    }

    /// An empty disk with so much space, handed out in pages of 4,096 bytes; a rest smaller than that is of no use.
    /// Holes and names take none.
    #[must_use]
    pub fn with_capacity_bytes(capacity_bytes: u64) -> Self {
        let roots = [PathBuf::new(), PathBuf::from("/")];
        let tree = Tree {
            session: Arc::new(Session::new(capacity_bytes / PAGE_BYTES)),
            directories: roots
                .into_iter()
                .map(|root| (root, Directory::new(BTreeMap::new())))
                .collect(),
            locks: BTreeMap::new(),
            locks_taken: 0,
        };
        Self {
            tree: Arc::new(Mutex::new(tree)),
        }
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> MemoryUsage {
        let tree = self.tree.lock();
        let files = tree.directories.values().flat_map(Directory::iter);
        let usage = MemoryUsage {
            allocated_bytes: tree.session.used_bytes(),
            ..MemoryUsage::default()
        };
        files.fold(usage, |usage, (_, inode)| MemoryUsage {
            files: usage.files + 1,
            bytes: usage.bytes.saturating_add(inode.len()),
            ..usage
        })
    }

    /// Loses the power and gets it back.
    pub fn crash(&self, keep: Keep) {
        self.crash_with(&mut keep.chooser());
    }

    /// Loses the power and gets it back; `choose` decides what is left of the unsynced. `choose(n)` is to give one of
    /// `0..n` (more counts as n - 1): 0 keeps the least, n - 1 the most. It is asked, first for every directory's
    /// names, then for every file left, in the order of paths and then of calls:
    /// - of a change of a name or of a length: lost (0), kept (1);
    /// - of a write within a sector: lost (0), kept (1);
    /// - of a longer write: lost (0), torn (1), kept (2); if torn, of each sector: lost (0), kept (1); if it extended
    ///   the file and its end was lost: the file ends where the kept part does (0), or as if all was kept (1).
    ///
    /// It is not asked about what can't survive because something earlier was lost.
    pub fn crash_with(&self, choose: &mut dyn FnMut(usize) -> usize) {
        let mut choose = |options: usize| choose(options).min(options.saturating_sub(1));
        let mut tree = self.tree.lock();
        tree.session.end();
        let session = Arc::new(Session::new(tree.session.capacity_pages()));
        let named: Vec<_> = std::mem::take(&mut tree.directories)
            .into_iter()
            .map(|(path, directory)| (path, directory.survivors(&mut choose)))
            .collect();
        for (path, names) in named {
            let files = names.into_iter().map(|(name, inode)| {
                (
                    name,
                    Arc::new(Inode::new(&session, inode.survivors(&mut choose))),
                )
            });
            tree.directories
                .insert(path, Directory::new(files.collect()));
        }
        tree.session = session;
        tree.locks.clear();
    }

    /// Loses the process that uses it, and no power: handles answer as after a power loss and locks are free, but files and
    /// names are as they were, and what was not synced still is not.
    pub fn restart(&self) {
        let mut tree = self.tree.lock();
        tree.session.end();
        let session = Arc::new(Session::new(tree.session.capacity_pages()));
        // A file may have several names, some of them of the past: by its address, each is the same file afterwards.
        let mut files: BTreeMap<*const Inode, Arc<Inode>> = BTreeMap::new();
        let mut taken = |inode: &Arc<Inode>| {
            let file = files
                .entry(Arc::as_ptr(inode))
                .or_insert_with(|| Arc::new(inode.taken_by(&session)));
            Arc::clone(file)
        };
        for directory in tree.directories.values_mut() {
            *directory = directory.map(&mut taken);
        }
        tree.session = session;
        tree.locks.clear();
    }

    /// As [`Disk::open`], with a handle whose syncs can be made to fail.
    pub(super) fn open_file(&self, path: &Path, access: Access) -> DiskResult<Arc<MemoryFile>> {
        let place = Place::of(DiskOperation::Open, path)?;
        let mut tree = self.tree.lock();
        let inode = tree.find(&place).map(Arc::clone)?;
        Ok(Arc::new(MemoryFile::new(inode, path.to_owned(), access)))
    }

    /// As [`Disk::create`], with a handle whose syncs can be made to fail.
    pub(super) fn create_file(&self, path: &Path) -> DiskResult<Arc<MemoryFile>> {
        let place = Place::of(DiskOperation::Create, path)?;
        let mut tree = self.tree.lock();
        tree.refuse_directory(&place, io::ErrorKind::AlreadyExists)?;
        let inode = Arc::new(Inode::new(&tree.session, Image::default()));
        let directory = tree.directory(&place)?;
        if directory.get(&place.name).is_some() {
            return Err(place.failure(io::ErrorKind::AlreadyExists));
        }
        directory.create(&place.name, Arc::clone(&inode));
        Ok(Arc::new(MemoryFile::new(
            inode,
            path.to_owned(),
            Access::ReadWrite,
        )))
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        Ok(self.open_file(path, access)?)
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        Ok(self.create_file(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let source = Place::of(DiskOperation::Rename, from)?;
        let target = Place::of(DiskOperation::Rename, to)?;
        if source.directory != target.directory {
            return Err(source.failure(io::ErrorKind::CrossesDevices));
        }
        let mut tree = self.tree.lock();
        tree.find(&source)?;
        tree.refuse_directory(&target, io::ErrorKind::IsADirectory)?;
        tree.directory(&source)?.rename(&source.name, &target.name);
        Ok(())
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        let place = Place::of(DiskOperation::Remove, path)?;
        let mut tree = self.tree.lock();
        tree.find(&place)?;
        tree.directory(&place)?.remove(&place.name);
        Ok(())
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        let tree = self.tree.lock();
        let Some(directory) = tree.directories.get(&clean(dir)) else {
            return Err(failure(
                DiskOperation::List,
                dir,
                io::ErrorKind::NotFound.into(),
            ));
        };
        let mut names: Vec<_> = directory
            .iter()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        let dir = clean(dir);
        let mut tree = self.tree.lock();
        for above in dir.ancestors() {
            let place = Place::of(DiskOperation::CreateDir, above).ok();
            let file = place.and_then(|place| {
                tree.directories
                    .get(&place.directory)?
                    .get(&place.name)
                    .cloned()
            });
            if file.is_some() {
                return Err(failure(
                    DiskOperation::CreateDir,
                    above,
                    io::ErrorKind::AlreadyExists.into(),
                ));
            }
        }
        for above in dir.ancestors() {
            tree.directories
                .entry(above.to_owned())
                .or_insert_with(|| Directory::new(BTreeMap::new()));
        }
        Ok(())
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        let clean_dir = clean(dir);
        let mut tree = self.tree.lock();
        if !tree.directories.contains_key(&clean_dir) {
            return Err(failure(
                DiskOperation::Lock,
                dir,
                io::ErrorKind::NotFound.into(),
            ));
        }
        if tree.locks.contains_key(&clean_dir) {
            return Err(locked(dir));
        }
        tree.locks_taken += 1;
        let number = tree.locks_taken;
        tree.locks.insert(clean_dir.clone(), number);
        Ok(Box::new(MemoryLock {
            disk: self.clone(),
            directory: clean_dir,
            number,
        }))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        let mut tree = self.tree.lock();
        let Some(directory) = tree.directories.get_mut(&clean(dir)) else {
            return Err(failure(
                DiskOperation::SyncDir,
                dir,
                io::ErrorKind::NotFound.into(),
            ));
        };
        directory.sync();
        Ok(())
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        let tree = self.tree.lock();
        if !tree.directories.contains_key(&clean(dir)) {
            return Err(failure(
                DiskOperation::Open,
                dir,
                io::ErrorKind::NotFound.into(),
            ));
        }
        let session = Arc::clone(&tree.session);
        Ok(Arc::new(MemoryDirectory {
            disk: self.clone(),
            path: dir.to_owned(),
            session,
        }))
    }
}

/// An open directory of a [`MemoryDisk`].
#[derive(Debug)]
struct MemoryDirectory {
    disk: MemoryDisk,
    path: PathBuf,
    session: Arc<Session>,
}

impl DiskDirectory for MemoryDirectory {
    fn sync(&self) -> DiskResult<()> {
        if !self.session.is_alive() {
            return Err(power_lost(DiskOperation::SyncDir, &self.path));
        }
        self.disk.sync_dir(&self.path)
    }
}

impl Tree {
    /// The directory a place is in.
    fn directory(&mut self, place: &Place<'_>) -> DiskResult<&mut Directory<Arc<Inode>>> {
        self.directories
            .get_mut(&place.directory)
            .ok_or_else(|| place.failure(io::ErrorKind::NotFound))
    }

    /// The file at a place.
    fn find(&mut self, place: &Place<'_>) -> DiskResult<&Arc<Inode>> {
        self.refuse_directory(place, io::ErrorKind::IsADirectory)?;
        self.directory(place)?
            .get(&place.name)
            .ok_or_else(|| place.failure(io::ErrorKind::NotFound))
    }

    fn refuse_directory(&self, place: &Place<'_>, kind: io::ErrorKind) -> DiskResult<()> {
        let taken = self
            .directories
            .contains_key(&place.directory.join(&place.name));
        if taken {
            Err(place.failure(kind))
        } else {
            Ok(())
        }
    }
}

/// A path taken apart: a name in a directory, and what is to be done there.
struct Place<'a> {
    operation: DiskOperation,
    path: &'a Path,
    directory: PathBuf,
    name: OsString,
}

impl<'a> Place<'a> {
    fn of(operation: DiskOperation, path: &'a Path) -> DiskResult<Self> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(Self {
                operation,
                path,
                directory: clean(parent),
                name: name.to_owned(),
            }),
            _ => Err(failure(operation, path, io::ErrorKind::InvalidInput.into())),
        }
    }

    fn failure(&self, kind: io::ErrorKind) -> super::DiskError {
        failure(self.operation, self.path, kind.into())
    }
}

/// A path without its `.` parts.
fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// A [`MemoryDisk`]'s lock.
#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    directory: PathBuf,
    number: u64,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut tree = self.disk.tree.lock();
        if tree.locks.get(&self.directory) == Some(&self.number) {
            tree.locks.remove(&self.directory);
        }
    }
}

#[cfg(test)]
mod tests;

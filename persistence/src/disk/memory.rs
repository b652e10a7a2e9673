//! A disk in memory that loses what a real one may lose: after [`MemoryDisk::crash`] the files are
//! as a power loss could have left them.
//!
//! The simulator and the crash tests run whole stores on it, because it is exact about what an
//! engine may rely on.
//!
//! What always holds:
//! - Whatever `sync_data` and `sync_dir` made durable survives, and so does a created directory (as
//!   on every [`Disk`]).
//! - Any part of the rest may survive. Each 512-byte sector is as it was after some number of the
//!   unsynced changes to it. Each pending name change survives as a whole, and those of one name in
//!   order (see `contents` and `names`).
//! - After a power loss all that is left is durable, locks are free, and older handles answer
//!   [`DiskErrorKind::PowerLost`](super::DiskErrorKind::PowerLost).
//! - After the end of a process ([`MemoryDisk::restart`]) the same holds, but unsynced changes are
//!   kept and still unsynced.
//! - The same calls and the same choices give the same disk.
//!
//! Paths are used as they are, without their `.` parts. There are no links. `/` and the empty path
//! exist from the start.

mod contents;
mod directory;
mod file;
mod image;
mod names;
mod place;
mod power_loss;
mod ranges;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::{DiskOperation, DiskResult};
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};
use crate::sync::native::Mutex;
use crate::sync::ranks;

use self::directory::{MemoryDirectory, MemoryLock};
use self::file::Inode;
use self::image::Image;
use self::names::Directory;
use self::place::Place;
use self::tree::Tree;

pub use self::power_loss::PowerLoss;

pub(super) use self::file::MemoryFile;
#[cfg(test)]
pub(crate) use self::power_loss::for_all_choices;

/// A disk in memory. Clones are handles of the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

/// The space in use on a [`MemoryDisk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Files that have a name.
    pub files: u64,
    /// The sum of their lengths, holes included.
    pub bytes: u64,
    /// The space in use, in pages of 4,096 bytes, which the capacity limits. Open files without a
    /// name count too.
    pub allocated_bytes: u64,
}

impl MemoryDisk {
    /// The capacity of a disk made without one: more than memory, so that only a wrong length
    /// reaches it.
    pub const CAPACITY_BYTES_DEFAULT: u64 = 64 << 30;

    /// Makes an empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity_bytes(Self::CAPACITY_BYTES_DEFAULT)
    }

    /// Makes an empty disk of this capacity. Space is allocated in pages of 4,096 bytes, and a
    /// remainder below that is not used. Holes and names take no space.
    #[must_use]
    pub fn with_capacity_bytes(capacity_bytes: u64) -> Self {
        Self {
            tree: Arc::new(Mutex::new(ranks::MEMORY_TREE, Tree::new(capacity_bytes))),
        }
    }

    /// Returns the space in use.
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

    /// Loses the power and restores it.
    pub fn crash(&self, keep: PowerLoss) {
        self.crash_with(&mut keep.chooser());
    }

    /// Loses the power and restores it; `choose` decides what survives of the unsynced changes.
    /// `choose(n)` returns one of `0..n` (a larger value counts as n - 1): 0 keeps the least, n - 1
    /// the most. It is called first for the names of every directory, then for every file left, in
    /// the order of paths and then of calls:
    /// - for a change of a name or of a length: lost (0), kept (1);
    /// - for a write within a sector: lost (0), kept (1);
    /// - for a longer write: lost (0), torn (1), kept (2). For each sector of a torn write: lost
    ///   (0), kept (1). If a torn write extended the file and lost its end, the file ends with the
    ///   kept part (0), or as if all was kept (1).
    ///
    /// It is not called for a change that cannot survive because an earlier one was lost.
    pub fn crash_with(&self, choose: &mut dyn FnMut(usize) -> usize) {
        let mut choose = |options: usize| choose(options).min(options.saturating_sub(1));
        let mut tree = self.tree.lock();
        let session = tree.end_session();
        let named: Vec<_> = std::mem::take(&mut tree.directories)
            .into_iter()
            .map(|(path, directory)| (path, directory.survivors(&mut choose)))
            .collect();
        for (path, names) in named {
            let files = names.into_iter().map(|(name, inode)| {
                let image = inode.survivors(&mut choose);
                (name, Arc::new(Inode::new(&session, image)))
            });
            tree.directories
                .insert(path, Directory::new(files.collect()));
        }
        tree.session = session;
    }

    /// Ends the process that uses the disk, with the power on. Handles answer as after a power loss
    /// and locks are free. Files and names are as they were, and unsynced changes are still
    /// unsynced.
    pub fn restart(&self) {
        let mut tree = self.tree.lock();
        let session = tree.end_session();
        // A file may have several names, some of them earlier ones. Its address tells that they are
        // of one file.
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
    }

    /// Same as [`Disk::open`], with a handle whose syncs can be made to fail.
    pub(super) fn open_file(&self, path: &Path, access: Access) -> DiskResult<Arc<MemoryFile>> {
        let place = Place::of(DiskOperation::Open, path)?;
        let mut tree = self.tree.lock();
        let inode = tree.find(&place).map(Arc::clone)?;
        Ok(Arc::new(MemoryFile::new(inode, path.to_owned(), access)))
    }

    /// Same as [`Disk::create`], with a handle whose syncs can be made to fail.
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
        let file = MemoryFile::new(inode, path.to_owned(), Access::ReadWrite);
        Ok(Arc::new(file))
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
        self.tree.lock().list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.tree.lock().create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        let (directory, number) = self.tree.lock().lock(dir)?;
        Ok(Box::new(MemoryLock {
            tree: Arc::clone(&self.tree),
            directory,
            number,
        }))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.tree.lock().sync_dir(dir)
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        let tree = self.tree.lock();
        tree.require_dir(DiskOperation::Open, dir)?;
        Ok(Arc::new(MemoryDirectory {
            tree: Arc::clone(&self.tree),
            path: dir.to_owned(),
            session: Arc::clone(&tree.session),
        }))
    }
}

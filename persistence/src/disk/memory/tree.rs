//! The directories and locks of a memory disk, and the session they belong to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::error::{DiskError, DiskOperation, DiskResult};
use crate::disk::failure::{failure, locked};

use super::file::{Inode, Session};
use super::image::PAGE_BYTES;
use super::names::Directory;
use super::place::{Place, clean};

/// All that a memory disk holds.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) session: Arc<Session>,
    pub(super) directories: BTreeMap<PathBuf, Directory<Arc<Inode>>>,
    /// Locked directories and the number of each lock. A lock from before a power loss must not
    /// free a later one.
    locks: BTreeMap<PathBuf, u64>,
    locks_taken: u64,
}

impl Tree {
    /// Makes an empty tree with this much space.
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let roots = [PathBuf::new(), PathBuf::from("/")];
        Self {
            session: Arc::new(Session::new(capacity_bytes / PAGE_BYTES)),
            directories: roots
                .into_iter()
                .map(|root| (root, Directory::new(BTreeMap::new())))
                .collect(),
            locks: BTreeMap::new(),
            locks_taken: 0,
        }
    }

    /// Ends the session and frees all locks. Returns the session that follows.
    pub(super) fn end_session(&mut self) -> Arc<Session> {
        self.session.end();
        self.locks.clear();
        Arc::new(Session::new(self.session.capacity_pages()))
    }

    /// Returns the directory of a place.
    pub(super) fn directory(
        &mut self,
        place: &Place<'_>,
    ) -> DiskResult<&mut Directory<Arc<Inode>>> {
        self.directories
            .get_mut(&place.directory)
            .ok_or_else(|| place.failure(io::ErrorKind::NotFound))
    }

    /// Returns the file at a place.
    pub(super) fn find(&mut self, place: &Place<'_>) -> DiskResult<&Arc<Inode>> {
        self.refuse_directory(place, io::ErrorKind::IsADirectory)?;
        self.directory(place)?
            .get(&place.name)
            .ok_or_else(|| place.failure(io::ErrorKind::NotFound))
    }

    /// Fails with `kind` if the place is a directory.
    pub(super) fn refuse_directory(
        &self,
        place: &Place<'_>,
        kind: io::ErrorKind,
    ) -> DiskResult<()> {
        let taken = self
            .directories
            .contains_key(&place.directory.join(&place.name));
        if taken {
            Err(place.failure(kind))
        } else {
            Ok(())
        }
    }

    /// Lists the files of a directory, sorted by bytes.
    pub(super) fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        let directory = self.directories.get(&clean(dir));
        let directory = directory.ok_or_else(|| not_found(DiskOperation::List, dir))?;
        let mut names: Vec<_> = directory
            .iter()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates a directory and those above it.
    pub(super) fn create_dir(&mut self, dir: &Path) -> DiskResult<()> {
        let dir = clean(dir);
        for above in dir.ancestors() {
            let place = Place::of(DiskOperation::CreateDir, above).ok();
            let file = place.and_then(|place| {
                self.directories
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
            self.directories
                .entry(above.to_owned())
                .or_insert_with(|| Directory::new(BTreeMap::new()));
        }
        Ok(())
    }

    /// Makes a directory's names durable.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> DiskResult<()> {
        let directory = self.directories.get_mut(&clean(dir));
        let directory = directory.ok_or_else(|| not_found(DiskOperation::SyncDir, dir))?;
        directory.sync();
        Ok(())
    }

    /// Checks that a directory exists.
    pub(super) fn require_dir(&self, operation: DiskOperation, dir: &Path) -> DiskResult<()> {
        if self.directories.contains_key(&clean(dir)) {
            Ok(())
        } else {
            Err(not_found(operation, dir))
        }
    }

    /// Locks a directory. Returns its clean path and the lock's number.
    pub(super) fn lock(&mut self, dir: &Path) -> DiskResult<(PathBuf, u64)> {
        self.require_dir(DiskOperation::Lock, dir)?;
        let directory = clean(dir);
        if self.locks.contains_key(&directory) {
            return Err(locked(dir));
        }
        self.locks_taken += 1;
        self.locks.insert(directory.clone(), self.locks_taken);
        Ok((directory, self.locks_taken))
    }

    /// Frees a lock, unless a power loss did.
    pub(super) fn unlock(&mut self, directory: &Path, number: u64) {
        if self.locks.get(directory) == Some(&number) {
            self.locks.remove(directory);
        }
    }
}

fn not_found(operation: DiskOperation, dir: &Path) -> DiskError {
    failure(operation, dir, io::ErrorKind::NotFound.into())
}

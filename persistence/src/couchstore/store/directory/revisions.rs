//! A vBucket's next file takes the place of the one before: the names of both, and which of them are durable.
//!
//! E15. The new file has its name durably before anything is committed to it, and before the old name goes. Should that
//! fail half way, nobody can tell which of the two names a crash will leave: so the store is poisoned.
//! Old names that may come back after a crash are remembered: the vBucket's newest name does not go before them,
//! because without it an old file would be taken for the vBucket.

use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::couchstore::store::file_names;
use crate::disk::{DiskErrorKind, DiskFile};

use super::Directory;

/// The name of a vBucket's file before the newest.
#[derive(Debug)]
pub(crate) struct Superseded {
    vb: Vbid,
    name: String,
    /// Gone, though perhaps not durably.
    removed: bool,
}

impl Directory {
    /// The revision a vBucket's next file will have.
    ///
    /// # Errors
    /// [`EngineError::NumbersUsedUp`] if the vBucket's file has the highest there is: under any other name a new file would
    /// not count, or take the old one's place before it is whole.
    pub(crate) fn next_revision(&self, vb: Vbid) -> Result<u64, EngineError> {
        let Some(&revision) = self.revisions.get(&vb) else {
            return Ok(1);
        };
        revision
            .checked_add(1)
            .ok_or_else(|| EngineError::NumbersUsedUp {
                path: self.path.join(file_names::file(vb, revision)),
                what: "file revisions",
            })
    }

    /// Makes an empty file; one of that name is removed before.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn create_anew(
        &self,
        name: &str,
    ) -> Result<(Arc<dyn DiskFile>, PathBuf), EngineError> {
        let path = self.path.join(name);
        let file = match self.disk.create(&path) {
            Err(error) if error.kind == DiskErrorKind::AlreadyExists => {
                self.disk.remove(&path)?;
                self.disk.create(&path)?
            }
            created => created?,
        };
        Ok((file, path))
    }

    /// Removes a file that is of no use to anyone, if that can be done.
    pub(crate) fn discard(&self, name: &str) {
        // It would be removed when the store is opened next.
        let _ = self.disk.remove(&self.path.join(name));
    }

    /// Makes a complete, durable file the vBucket's next one, durably.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it is not, or the store is poisoned.
    pub(crate) fn install(
        &mut self,
        vb: Vbid,
        revision: u64,
        from: &str,
    ) -> Result<PathBuf, EngineError> {
        let name = file_names::file(vb, revision);
        let path = self.path.join(&name);
        if let Err(error) = self.disk.rename(&self.path.join(from), &path) {
            if error.kind == DiskErrorKind::TooManyFiles {
                return Err(error.into());
            }
            // A failed call may have been done all the same.
            match self.disk.list(&self.path) {
                Ok(names) if !names.contains(&name) => return Err(error.into()),
                Ok(_) => {}
                Err(_) => {
                    self.shared.poison.set(&path);
                    return Err(error.into());
                }
            }
        }
        self.sync()?;
        self.superseded.retain(|old| !old.removed);
        let old = self.revisions.insert(vb, revision).unwrap_or_default();
        self.superseded.push(Superseded {
            vb,
            name: file_names::file(vb, old),
            removed: false,
        });
        Ok(path)
    }

    /// Removes the vBucket's files before the newest.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: one is still there. It does no harm.
    pub(crate) fn remove_superseded(&mut self, vb: Vbid) -> Result<(), EngineError> {
        for old in self
            .superseded
            .iter_mut()
            .filter(|old| old.vb == vb && !old.removed)
        {
            match self.disk.remove(&self.path.join(&old.name)) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
                _ => old.removed = true,
            }
        }
        Ok(())
    }

    /// Sees to it that no file before the newest comes back.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn settle(&mut self, vb: Vbid) -> Result<(), EngineError> {
        self.remove_superseded(vb)?;
        if self.superseded.iter().any(|old| old.vb == vb) {
            self.sync()?;
            self.superseded.retain(|old| !old.removed);
        }
        Ok(())
    }
}

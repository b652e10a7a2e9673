//! The replacement of a vBucket's file by its next revision: both names, and which of them are
//! durable.
//!
//! E15. The new file has a durable name before anything is committed to it, and before the old name
//! is removed. If that fails halfway, it is unknown which of the two names a crash will leave, so
//! the store is poisoned. Old names that may come back after a crash are remembered. The vBucket's
//! newest name is not removed before them, because an old file alone would be taken for the
//! vBucket.

use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::couchstore::store::file_names;
use crate::disk::{DiskErrorKind, DiskFile};

use super::Directory;

/// The name of an older file of a vBucket.
#[derive(Debug)]
pub(crate) struct Superseded {
    vb: Vbid,
    name: String,
    /// Whether it was removed, perhaps not durably.
    removed: bool,
}

impl Directory {
    /// Returns the revision of a vBucket's next file.
    ///
    /// # Errors
    /// [`EngineError::NumbersUsedUp`] if the vBucket's file has the highest revision. Under any
    /// other name a new file would not count, or would replace the old one before it is whole.
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

    /// Creates an empty file. Removes a file of that name first.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn recreate(&self, name: &str) -> Result<(Arc<dyn DiskFile>, PathBuf), EngineError> {
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

    /// Removes a useless file, if possible.
    pub(crate) fn discard(&self, name: &str) {
        // Opening the store removes it as well.
        let _ = self.disk.remove(&self.path.join(name));
    }

    /// Makes a complete, durable file the vBucket's next revision, durably.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it is not, or the store is poisoned.
    pub(crate) fn install(
        &mut self,
        vb: Vbid,
        revision: u64,
        from: &str,
    ) -> Result<PathBuf, EngineError> {
        // Looked up first: without it the new name may be that of the file in use.
        let old = self.revision(vb)?;
        let name = file_names::file(vb, revision);
        let path = self.path.join(&name);
        if let Err(error) = self.disk.rename(&self.path.join(from), &path) {
            if error.kind == DiskErrorKind::TooManyFiles {
                return Err(error.into());
            }
            // A failed call may have succeeded on the disk.
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
        self.revisions.insert(vb, revision);
        self.superseded.push(Superseded {
            vb,
            name: file_names::file(vb, old),
            removed: false,
        });
        Ok(path)
    }

    /// Removes the older files of a vBucket.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: one still exists, which does no harm.
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

    /// Makes the removal of a vBucket's older files durable.
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

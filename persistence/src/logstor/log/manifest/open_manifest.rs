//! The open manifest: writes edits into the slot that counts, and the whole catalog into the other
//! one.
//!
//! # Invariants
//!
//! - An edit that failed is cut off before a later one is acknowledged (L6).
//! - Before an edit is acknowledged in a slot, the first sector of the other one is cleared. So a
//!   damaged slot is never mistaken for one that was being written.
//! - An edit needs no new disk space, unless the catalog has outgrown a slot (L46).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::internal::checked_invariant;

use super::super::store_context::StoreContext;
use super::catalog::Catalog;
use super::edit::ManifestEdit;
use super::read::edit_of;
use super::slot::{
    CLEARED, FRAME_BYTES_MAX, MANIFEST_NAME, NEW_NAME, SLOT_BYTES_MIN, SLOT_BYTES_STEP, SlotPlace,
};
use crate::contract::EngineError;
use crate::disk::{Access, DiskFile};
use crate::logstor::format::to_u64;
use crate::shared::record;

/// The open manifest.
#[derive(Debug)]
pub(in crate::logstor) struct Manifest {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    pub(super) place: SlotPlace,
    /// Offset of the next edit in the slot.
    end: u64,
    catalog: Catalog,
}

impl Manifest {
    /// Writes a catalog, durably: into the file that was found, or into a new one.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the file that was found is intact; [`EngineError::NumbersUsedUp`] if
    /// no generation is left.
    pub(in crate::logstor) fn create(
        context: &StoreContext,
        found: Option<SlotPlace>,
        catalog: Catalog,
    ) -> Result<Self, EngineError> {
        let path = context.dir.join(MANIFEST_NAME);
        remove_unfinished(context)?;
        let Some(place) = found else {
            return Self::make_file(context, catalog, 1);
        };
        let file = context.disk.open(&path, Access::ReadWrite)?;
        let mut manifest = Self {
            path,
            file,
            place,
            end: 0,
            catalog: catalog.clone(),
        };
        // Files that opening has removed stay removed.
        context.sync_dir()?;
        manifest.write_catalog(context, catalog)?;
        Ok(manifest)
    }

    pub(in crate::logstor) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Returns the number of the catalog that counts, among all that were ever written.
    #[cfg(test)]
    pub(in crate::logstor) fn generation(&self) -> u64 {
        self.place.generation
    }

    /// Makes an edit durable.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it was not made. If that can't be ensured, the store is poisoned.
    /// [`EngineError::NumbersUsedUp`] if no number is left for what it would create.
    pub(in crate::logstor) fn append(
        &mut self,
        context: &StoreContext,
        edit: &ManifestEdit,
    ) -> Result<(), EngineError> {
        let mut next = self.catalog.clone();
        next.apply(edit)
            .map_err(|refused| refused.error(&self.path))?;
        let frame = record::encode(&(self.place.generation, edit), FRAME_BYTES_MAX)
            .ok_or_else(too_large)?;
        checked_invariant!(
            edit_of(&frame, self.place.generation) == Some((edit.clone(), frame.len())),
            "L6",
            "an edit is read as it is written"
        );
        let behind = self.end + to_u64(frame.len());
        // The resulting catalog must fit, too: then an edit that shrinks it can always be made.
        let whole = first_frame(&next, self.place.generation)?;
        if behind.max(to_u64(whole.len())) > self.place.slot_bytes {
            return self.write_catalog(context, next);
        }
        let at = self.place.start() + self.end;
        if let Err(error) = self.file.write_at(&[&frame], at) {
            // The write may have left a part of it, or all of it.
            self.clear(context, at, &vec![0; frame.len()]);
            return Err(error.into());
        }
        context.sync(&*self.file, &self.path)?;
        self.end = behind;
        self.catalog = next;
        Ok(())
    }

    /// Erases what a failed write may have left, durably. If that fails, too, the store is
    /// poisoned.
    fn clear(&self, context: &StoreContext, at: u64, zeros: &[u8]) {
        let cleared = self
            .file
            .write_at(&[zeros], at)
            .and_then(|()| self.file.sync_data());
        if cleared.is_err() {
            context.poison(&self.path);
        }
    }

    /// Writes the whole catalog: into the other slot, or, if it has outgrown that, into a file with
    /// larger slots.
    fn write_catalog(
        &mut self,
        context: &StoreContext,
        catalog: Catalog,
    ) -> Result<(), EngineError> {
        let next = self.place.generation.checked_add(1);
        let generation = next.ok_or_else(|| used_up(&self.path, "generations of the manifest"))?;
        let frame = first_frame(&catalog, generation)?;
        let bytes = to_u64(frame.len());
        let slot_bytes = self.place.slot_bytes;
        if bytes > slot_bytes / 2 {
            match Self::make_file(context, catalog.clone(), generation) {
                Ok(manifest) => {
                    *self = manifest;
                    return Ok(());
                }
                // A larger file can wait if nothing is in doubt.
                Err(_) if bytes <= slot_bytes && context.check_writable().is_ok() => {}
                Err(error) => return Err(error),
            }
        }
        self.turn(context, catalog, generation, frame)
    }

    /// Writes the other slot, and clears this one.
    fn turn(
        &mut self,
        context: &StoreContext,
        catalog: Catalog,
        generation: u64,
        mut slot: Vec<u8>,
    ) -> Result<(), EngineError> {
        let end = to_u64(slot.len());
        let next = self.place.other(generation);
        slot.resize(
            usize::try_from(next.slot_bytes).map_err(|_| too_large())?,
            0,
        );
        if let Err(error) = self.file.write_at(&[&slot], next.start()) {
            // If it were whole, it would win over later edits in this slot.
            self.clear(context, next.start(), &CLEARED);
            return Err(error.into());
        }
        context.sync(&*self.file, &self.path)?;
        // From here on either slot may be found, so a failure can't be undone.
        let cleared = self.file.write_at(&[&CLEARED], self.place.start());
        cleared.inspect_err(|_| context.poison(&self.path))?;
        context.sync(&*self.file, &self.path)?;
        (self.place, self.end, self.catalog) = (next, end, catalog);
        Ok(())
    }

    /// Makes a file, first under another name.
    pub(super) fn make_file(
        context: &StoreContext,
        catalog: Catalog,
        generation: u64,
    ) -> Result<Self, EngineError> {
        let path = context.dir.join(MANIFEST_NAME);
        let new_path = context.dir.join(NEW_NAME);
        let frame = first_frame(&catalog, generation)?;
        let end = to_u64(frame.len());
        let slot_bytes = (end * 4)
            .next_multiple_of(SLOT_BYTES_STEP)
            .max(SLOT_BYTES_MIN);
        remove_unfinished(context)?;
        let made = context.disk.create(&new_path).and_then(|file| {
            file.preallocate(0, slot_bytes * 2)?;
            file.write_at(&[&frame], 0)?;
            context.sync(&*file, &new_path)?;
            Ok(file)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // A file that can't be removed now is removed when the store is opened.
                let _ = context.disk.remove(&new_path);
                return Err(error.into());
            }
        };
        // The file may have its name although an error is reported.
        context
            .disk
            .rename(&new_path, &path)
            .inspect_err(|_| context.poison(&path))?;
        context.sync_dir()?;
        Ok(Self {
            path,
            file,
            place: SlotPlace {
                slot: 0,
                slot_bytes,
                generation,
            },
            end,
            catalog,
        })
    }
}

fn first_frame(catalog: &Catalog, generation: u64) -> Result<Vec<u8>, EngineError> {
    let frame = record::encode(&(catalog, generation), FRAME_BYTES_MAX).ok_or_else(too_large)?;
    checked_invariant!(
        is_read_as(&frame, catalog, generation),
        "L6",
        "a catalog is read as it is written"
    );
    Ok(frame)
}

/// Returns whether reading a slot's first frame gives that catalog.
fn is_read_as(frame: &[u8], catalog: &Catalog, generation: u64) -> bool {
    record::decode::<(Catalog, u64)>(frame, FRAME_BYTES_MAX)
        .is_ok_and(|((read, number), _)| read == *catalog && number == generation)
}

/// Removes a file that was being made when something failed.
fn remove_unfinished(context: &StoreContext) -> Result<(), EngineError> {
    Ok(context.remove_if_there(&context.dir.join(NEW_NAME))?)
}

fn used_up(path: &Path, what: &'static str) -> EngineError {
    EngineError::NumbersUsedUp {
        path: path.to_path_buf(),
        what,
    }
}

fn too_large() -> EngineError {
    EngineError::InvalidArgument("the manifest would be too large".to_owned())
}

//! `MANIFEST`: what the log itself can't say. Edits go in, each durable before it is acted on; after a crash what they
//! come to comes out.
//!
//! ```text
//! file   slot | slot                                        each half of the file, written full of zeros when it is made
//! slot   frame (sketch, generation) | frame (generation, edit) | ... | zeros
//! ```
//!
//! Frames are those of [`record`]. One slot counts: the valid one with the higher generation. What always holds:
//!
//! - An edit that was acknowledged is there after any crash; one that was not is there as a whole or not at all, and never
//!   once a later one was acknowledged: it is cut off first (L6).
//! - Epochs (L7). A vBucket made, and each branch of it after a rollback, has an epoch that was never used before, and its
//!   records carry it. Records of an epoch that no vBucket has, or with a seqno above their epoch's cap, don't exist.
//! - Opening writes what it has seen into the other slot, so that it is durable before anything is built on it. That and every
//!   edit take place in the file's own bytes: no new space is needed, unless what is to be said has outgrown a slot (L46).
//! - A slot that counts is the only valid one before an edit is acknowledged in it: the first sector of the other one is
//!   cleared. So a slot that is damaged is never mistaken for one that was being written.

mod edit;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{Access, DiskErrorKind, DiskFile};
use crate::record;

use super::shared::Shared;

pub(super) use self::edit::{Base, Edit, Lineage, Retired, Sketch, VBucketEntry};
pub(super) use self::read::{Place, read};

pub(super) const NAME: &str = "MANIFEST";
const NEW_NAME: &str = "MANIFEST.new";
/// The largest frame: that of a store with very many vBuckets.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// A slot's least size. Tests and models fill one with few edits.
const SLOT_BYTES_MIN: u64 = if cfg!(any(test, checkpoint_loom)) {
    8 << 10
} else {
    64 << 10
};
/// A slot is a multiple of this, so that no sector is in both.
const SLOT_BYTES_STEP: u64 = 4096;
/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;
/// A slot without content begins with this.
const CLEARED: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

/// The open manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    place: Place,
    /// Where in the slot the next edit goes.
    end: u64,
    sketch: Sketch,
}

impl Manifest {
    /// Writes `sketch`, durably: over what was found, or as a new file.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: what was found is still there; [`EngineError::NumbersUsedUp`] if no generation is left.
    pub(super) fn create(
        shared: &Shared,
        found: Option<Place>,
        sketch: Sketch,
    ) -> Result<Self, EngineError> {
        let path = shared.dir.join(NAME);
        remove_unfinished(shared)?;
        let Some(place) = found else {
            return Self::make_file(shared, sketch, 1);
        };
        let file = shared.disk.open(&path, Access::ReadWrite)?;
        let mut manifest = Self {
            path,
            file,
            place,
            end: 0,
            sketch: sketch.clone(),
        };
        // What opening has removed stays away.
        shared.sync_dir()?;
        manifest.write_anew(shared, sketch)?;
        Ok(manifest)
    }

    pub(super) fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// Which sketch of all that were ever written counts.
    #[cfg(test)]
    pub(super) fn generation(&self) -> u64 {
        self.place.generation
    }

    /// Makes an edit durable.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it was not made. If that could not be made sure of, the store is poisoned.
    /// [`EngineError::NumbersUsedUp`] if there is no number left for what it would make.
    pub(super) fn append(&mut self, shared: &Shared, edit: &Edit) -> Result<(), EngineError> {
        let mut next = self.sketch.clone();
        next.apply(edit)
            .map_err(|refused| refused.error(&self.path))?;
        let frame = record::encode(&(self.place.generation, edit), FRAME_BYTES_MAX)
            .ok_or_else(too_large)?;
        let behind = self.end.saturating_add(frame.len() as u64);
        // What it comes to must fit, too: then an edit that makes it less can always be made.
        let anew = first_frame(&next, self.place.generation)?;
        if behind.max(anew.len() as u64) > self.place.slot_bytes {
            return self.write_anew(shared, next);
        }
        let at = self.place.start().saturating_add(self.end);
        if let Err(error) = self.file.write_at(&[&frame], at) {
            // A part of it may be there, or all of it.
            self.clear(shared, at, &vec![0; frame.len()]);
            return Err(error.into());
        }
        shared.sync(&*self.file, &self.path)?;
        (self.end, self.sketch) = (behind, next);
        Ok(())
    }

    /// Takes back what a failed write may have left, durably; if that fails, too, the store is poisoned.
    fn clear(&self, shared: &Shared, at: u64, zeros: &[u8]) {
        let cleared = self
            .file
            .write_at(&[zeros], at)
            .and_then(|()| self.file.sync_data());
        if cleared.is_err() {
            shared.poison(&self.path);
        }
    }

    /// Writes everything anew: into the other slot, or, where it has outgrown that, into a file with larger ones.
    fn write_anew(&mut self, shared: &Shared, sketch: Sketch) -> Result<(), EngineError> {
        let generation = self.place.generation.checked_add(1);
        let generation =
            generation.ok_or_else(|| used_up(&self.path, "generations of the manifest"))?;
        let frame = first_frame(&sketch, generation)?;
        let (bytes, slot_bytes) = (frame.len() as u64, self.place.slot_bytes);
        if bytes > slot_bytes / 2 {
            match Self::make_file(shared, sketch.clone(), generation) {
                Ok(manifest) => {
                    *self = manifest;
                    return Ok(());
                }
                // It can wait for a larger one, if nothing is in doubt.
                Err(_) if bytes <= slot_bytes && shared.check_writable().is_ok() => {}
                Err(error) => return Err(error),
            }
        }
        self.turn(shared, sketch, generation, frame)
    }

    /// Writes the other slot, and clears the one that counted until then.
    fn turn(
        &mut self,
        shared: &Shared,
        sketch: Sketch,
        generation: u64,
        mut slot: Vec<u8>,
    ) -> Result<(), EngineError> {
        let end = slot.len() as u64;
        let next = Place {
            slot: 1 - self.place.slot.min(1),
            generation,
            ..self.place
        };
        slot.resize(
            usize::try_from(next.slot_bytes).map_err(|_| too_large())?,
            0,
        );
        if let Err(error) = self.file.write_at(&[&slot], next.start()) {
            // Were it whole, it would win over what comes after it here.
            self.clear(shared, next.start(), &CLEARED);
            return Err(error.into());
        }
        shared.sync(&*self.file, &self.path)?;
        // From here on either slot may be the one that is found: there is no way back.
        let cleared = self.file.write_at(&[&CLEARED], self.place.start());
        cleared.inspect_err(|_| shared.poison(&self.path))?;
        shared.sync(&*self.file, &self.path)?;
        (self.place, self.end, self.sketch) = (next, end, sketch);
        Ok(())
    }

    /// Makes the file, under another name first.
    fn make_file(shared: &Shared, sketch: Sketch, generation: u64) -> Result<Self, EngineError> {
        let (path, new_path) = (shared.dir.join(NAME), shared.dir.join(NEW_NAME));
        let frame = first_frame(&sketch, generation)?;
        let end = frame.len() as u64;
        let slot_bytes = end
            .saturating_mul(4)
            .next_multiple_of(SLOT_BYTES_STEP)
            .max(SLOT_BYTES_MIN);
        remove_unfinished(shared)?;
        let made = shared.disk.create(&new_path).and_then(|file| {
            file.preallocate(0, slot_bytes.saturating_mul(2))?;
            file.write_at(&[&frame], 0)?;
            shared.sync(&*file, &new_path)?;
            Ok(file)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // What can't be removed now is removed when the store opens.
                let _ = shared.disk.remove(&new_path);
                return Err(error.into());
            }
        };
        // The name may have moved, whatever is reported.
        shared
            .disk
            .rename(&new_path, &path)
            .inspect_err(|_| shared.poison(&path))?;
        shared.sync_dir()?;
        Ok(Self {
            path,
            file,
            place: Place {
                slot: 0,
                slot_bytes,
                generation,
            },
            end,
            sketch,
        })
    }
}

fn first_frame(sketch: &Sketch, generation: u64) -> Result<Vec<u8>, EngineError> {
    record::encode(&(sketch, generation), FRAME_BYTES_MAX).ok_or_else(too_large)
}

/// A file that was being made when something failed.
fn remove_unfinished(shared: &Shared) -> Result<(), EngineError> {
    match shared.disk.remove(&shared.dir.join(NEW_NAME)) {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests;

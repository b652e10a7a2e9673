//! `MANIFEST`: what the log itself can't say. Edits go in, each durable before it is acted on; after a crash what they
//! come to comes out.
//!
//! The file is a sequence of frames ([`record`]): first everything as it was when the file was made, then an edit each.
//! What always holds:
//!
//! - An edit that was acknowledged is there after any crash; one that was not is there as a whole or not at all, and never
//!   once a later one was acknowledged: it is cut off first (L6).
//! - Epochs (L7). A vBucket made, and each branch of it after a rollback, has an epoch that was never used before, and its
//!   records carry it. Records of an epoch that no vBucket has, or with a seqno above their epoch's cap, don't exist.
//! - The file is made anew, under another name, synced and renamed, whenever the store is opened: so what opening has
//!   seen is durable before anything is built on it. One of an earlier version is read as what it means.

mod edit;
mod version1;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::EngineError;
use crate::disk::{Access, Disk, DiskErrorKind, DiskFile};
use crate::record::{self, NoRecord};

use super::shared::Shared;

pub(super) use self::edit::{Base, Edit, Lineage, Retired, Sketch, VBucketEntry};

pub(super) const NAME: &str = "MANIFEST";
const NEW_NAME: &str = "MANIFEST.new";
/// The largest frame: that of a store with very many vBuckets.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// The file is made anew when its edits are this many times what they come to...
const GROWTH: u64 = 4;
/// ... and more than this.
const EDITS_BYTES_MIN: u64 = 64 << 10;

/// The open manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Bytes of acknowledged edits.
    end: u64,
    /// Bytes when it was made anew.
    start: u64,
    sketch: Sketch,
}

/// What a manifest that was found says, and what was cut off behind it.
pub(super) struct Found {
    pub(super) sketch: Sketch,
    pub(super) torn_bytes: u64,
    pub(super) path: PathBuf,
}

/// Reads a store's manifest; `None` if there is no store yet.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if it is damaged elsewhere than at its end.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Found>, EngineError> {
    let path = dir.join(NAME);
    let file = match disk.open(&path, Access::ReadOnly) {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX).min(2 * FRAME_BYTES_MAX)];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    let corrupt = |offset: usize, what: &str| EngineError::Corrupt {
        path: path.clone(),
        offset: offset as u64,
        what: what.to_owned(),
    };
    let (mut sketch, mut at, read_edit) = beginning(&bytes).map_err(|what| corrupt(0, what))?;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match read_edit(rest) {
            Ok((edit, len)) => {
                sketch.apply(&edit).map_err(|what| corrupt(at, what))?;
                at += len;
            }
            Err(NoRecord::Torn) if !has_frame_behind(rest, read_edit) => break,
            Err(_) => return Err(corrupt(at, "a damaged edit")),
        }
    }
    Ok(Some(Found { sketch, torn_bytes: (bytes.len() - at) as u64, path }))
}

/// Edits are of the version of what they stand behind.
type ReadEdit = fn(&[u8]) -> Result<(Edit, usize), NoRecord>;

/// What a manifest begins with, its length, and how edits behind it are read.
fn beginning(bytes: &[u8]) -> Result<(Sketch, usize, ReadEdit), &'static str> {
    if let Some((sketch, len)) = version1::sketch(bytes) {
        return Ok((sketch, len, version1::edit));
    }
    match record::decode::<Sketch>(bytes, FRAME_BYTES_MAX) {
        // It was synced before it got its name.
        Err(_) => Err("not a log store's manifest"),
        Ok((sketch, len)) if sketch.is_sound() => {
            Ok((sketch, len, |bytes| record::decode(bytes, FRAME_BYTES_MAX)))
        }
        Ok(_) => Err("the manifest is of another version"),
    }
}

/// Whether a sound edit follows where a damaged one claims to end: then it is no torn end.
fn has_frame_behind(rest: &[u8], read_edit: ReadEdit) -> bool {
    let claimed = rest.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
    let behind = rest.get(record::FRAME_BYTES.saturating_add(claimed)..).unwrap_or_default();
    read_edit(behind).is_ok()
}

impl Manifest {
    /// Makes the file anew with that content, durably.
    pub(super) fn create(shared: &Shared, sketch: Sketch) -> Result<Self, EngineError> {
        let (new_path, manifest) = Self::prepare(shared, sketch)?;
        manifest.install(shared, &new_path)?;
        Ok(manifest)
    }

    /// The file is there under another name.
    fn prepare(shared: &Shared, sketch: Sketch) -> Result<(PathBuf, Self), EngineError> {
        let (path, new_path) = (shared.dir.join(NAME), shared.dir.join(NEW_NAME));
        let frame = record::encode(&sketch, FRAME_BYTES_MAX).ok_or_else(too_large)?;
        match shared.disk.remove(&new_path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = shared.disk.create(&new_path)?;
        file.write_at(&[&frame], 0)?;
        shared.sync(&*file, &new_path)?;
        let end = frame.len() as u64;
        Ok((new_path, Self { path, file, end, start: end, sketch }))
    }

    fn install(&self, shared: &Shared, new_path: &Path) -> Result<(), EngineError> {
        shared.disk.rename(new_path, &self.path)?;
        Ok(shared.sync_dir()?)
    }

    pub(super) fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// Makes an edit durable.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it was not made. If that could not be made sure of, the store is poisoned.
    pub(super) fn append(&mut self, shared: &Shared, edit: &Edit) -> Result<(), EngineError> {
        let mut next = self.sketch.clone();
        next.apply(edit).map_err(|what| EngineError::InvalidArgument(what.to_owned()))?;
        let frame = record::encode(edit, FRAME_BYTES_MAX).ok_or_else(too_large)?;
        if let Err(error) = self.file.write_at(&[&frame], self.end) {
            // A part of it may be there, or all of it.
            let cut = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
            if cut.is_err() {
                shared.poison(&self.path);
            }
            return Err(error.into());
        }
        shared.sync(&*self.file, &self.path)?;
        self.end += frame.len() as u64;
        self.sketch = next;
        self.shorten(shared);
        Ok(())
    }

    /// Makes the file anew when most of it is past. The edit is in the old one, so that a failure can wait; once the name
    /// may have moved there is no way back, and the store is poisoned.
    fn shorten(&mut self, shared: &Shared) {
        if self.end - self.start < EDITS_BYTES_MIN.max(GROWTH * self.start) {
            return;
        }
        let Ok((new_path, manifest)) = Self::prepare(shared, self.sketch.clone()) else { return };
        match manifest.install(shared, &new_path) {
            Ok(()) => *self = manifest,
            Err(_) => shared.poison(&self.path),
        }
    }
}

fn too_large() -> EngineError {
    EngineError::InvalidArgument("the manifest would be too large".to_owned())
}

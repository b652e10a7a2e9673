//! Reading of a manifest: the catalog of the slot that counts, with all its edits.
//!
//! # Invariants
//!
//! Nothing is written. Of two valid slots the one with the higher generation counts. An edit of
//! another generation belongs to an earlier use of the slot and is ignored. Bytes behind the last
//! edit are a torn edit, unless a sound edit follows: then they are damage.

use std::path::{Path, PathBuf};

use super::catalog::Catalog;
use super::edit::ManifestEdit;
use super::slot::{FRAME_BYTES_MAX, MANIFEST_NAME, SLOT_BYTES_STEP, SlotPlace};
use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskErrorKind};
use crate::logstor::format::{to_u64, u64_at};
use crate::shared::record::{self, FRAME_BYTES};

/// Attempts to read a slot that changes meanwhile.
const ATTEMPTS: u32 = 3;

/// A manifest that was read.
#[derive(Debug)]
pub(in crate::logstor) struct FoundManifest {
    pub(in crate::logstor) catalog: Catalog,
    /// Bytes of a torn edit.
    pub(in crate::logstor) torn_bytes: u64,
    /// Offset of the torn edit in the file.
    pub(in crate::logstor) torn_at: u64,
    pub(in crate::logstor) path: PathBuf,
    /// `None` for a file of the previous version, which is replaced.
    pub(in crate::logstor) place: Option<SlotPlace>,
}

/// Offset and description of damage.
type Wrong = (usize, &'static str);

const CONTRADICTION: Wrong = (0, "two vBuckets have one epoch, or a vBucket has none");

/// Reads a store's manifest; `None` if there is no store yet.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if it is damaged elsewhere than at its end.
pub(in crate::logstor) fn read_manifest(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<FoundManifest>, EngineError> {
    let path = dir.join(MANIFEST_NAME);
    let mut wrong = (0, "");
    for _ in 0..ATTEMPTS {
        let file = match disk.open(&path, Access::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A longer file is another version's, and is refused by what its first bytes say.
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(8 * FRAME_BYTES_MAX)];
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        match parse(&bytes, &path) {
            Ok(found) => return Ok(Some(found)),
            Err(what) => wrong = what,
        }
    }
    let (offset, what) = wrong;
    Err(EngineError::Corrupt {
        path,
        offset: to_u64(offset),
        what: what.to_owned(),
    })
}

fn parse(bytes: &[u8], path: &Path) -> Result<FoundManifest, Wrong> {
    if let Ok((catalog, at)) = record::decode::<Catalog>(bytes, FRAME_BYTES_MAX) {
        let catalog = catalog
            .of_version_2()
            .ok_or((0, "the manifest is of another version"))?;
        let rest = behind_frame(bytes, at)?;
        let (catalog, end) = with_edits(catalog, rest, |bytes| {
            record::decode::<ManifestEdit>(bytes, FRAME_BYTES_MAX).ok()
        })
        .map_err(|(offset, what)| (at + offset, what))?;
        if !catalog.is_consistent() {
            return Err(CONTRADICTION);
        }
        return Ok(FoundManifest {
            catalog,
            torn_bytes: to_u64(rest.len() - end),
            torn_at: to_u64(at + end),
            path: path.to_path_buf(),
            place: None,
        });
    }
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at(half);
    let heads =
        [first, second].map(|slot| record::decode::<(Catalog, u64)>(slot, FRAME_BYTES_MAX).ok());
    let are_both = heads.iter().all(Option::is_some);
    let newest = (0_u64..)
        .zip(heads)
        .filter_map(|(slot, head)| Some((slot, head?)));
    let Some((slot, ((catalog, generation), at))) =
        newest.max_by_key(|(_, ((_, generation), _))| *generation)
    else {
        return Err((0, "not a log store's manifest"));
    };
    if !catalog.is_current() || !to_u64(half).is_multiple_of(SLOT_BYTES_STEP) {
        return Err((0, "the manifest is of another version"));
    }
    let place = SlotPlace {
        slot,
        slot_bytes: to_u64(half),
        generation,
    };
    let (bytes, at_start) = if slot == 0 {
        (first, 0)
    } else {
        (second, half)
    };
    let rest = behind_frame(bytes, at)?;
    let ours = |bytes: &[u8]| edit_of(bytes, generation);
    let (catalog, end) =
        with_edits(catalog, rest, ours).map_err(|(offset, what)| (at_start + at + offset, what))?;
    if !catalog.is_consistent() {
        return Err(CONTRADICTION);
    }
    let behind = behind_frame(rest, end)?;
    // While the other slot is not cleared, nothing was acknowledged here, and any bytes may follow.
    let torn = behind
        .iter()
        .rposition(|byte| *byte != 0)
        .filter(|_| !are_both)
        .map_or(0, |last| last + 1);
    Ok(FoundManifest {
        catalog,
        torn_bytes: to_u64(torn),
        torn_at: to_u64(at_start + at + end),
        path: path.to_path_buf(),
        place: Some(place),
    })
}

/// Returns the bytes behind frames that end at an offset.
fn behind_frame(bytes: &[u8], end: usize) -> Result<&[u8], Wrong> {
    bytes.get(end..).ok_or((end, "a frame beyond its slot"))
}

/// Decodes the edit at the start, if it is sound and of that generation.
pub(super) fn edit_of(bytes: &[u8], generation: u64) -> Option<(ManifestEdit, usize)> {
    // The generation is compared first, because it is cheaper than the checksum.
    if u64_at(bytes, FRAME_BYTES)? != generation {
        return None;
    }
    let ((_, edit), len) = record::decode::<(u64, ManifestEdit)>(bytes, FRAME_BYTES_MAX).ok()?;
    Some((edit, len))
}

/// Applies the edits at the start of `bytes`. Returns the catalog and the end of the edits.
fn with_edits(
    mut catalog: Catalog,
    bytes: &[u8],
    edit_in: impl Fn(&[u8]) -> Option<(ManifestEdit, usize)>,
) -> Result<(Catalog, usize), Wrong> {
    let mut at = 0;
    while let Some((edit, len)) = bytes.get(at..).and_then(&edit_in) {
        catalog
            .apply(&edit)
            .map_err(|refused| (at, refused.what()))?;
        at += len;
    }
    // Edits are made durable one by one, so only the last can be torn. The rest of a slot is zeros,
    // and no frame begins with zeros.
    let is_followed = |from: usize| bytes.get(from..).and_then(&edit_in).is_some();
    let written = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if (at + 1..written).any(is_followed) {
        return Err((at, "a damaged edit"));
    }
    Ok((catalog, at))
}

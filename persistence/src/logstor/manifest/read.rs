//! What a manifest on the disk says: its bytes go in; the sketch that counts, with all its edits, comes out.
//!
//! Always: nothing is written. Of two valid slots the one with the higher generation counts; an edit of another generation
//! is a former use's and nothing. What is behind the last edit is a torn one, unless a sound edit follows: then it is damage.

use std::path::{Path, PathBuf};

use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskErrorKind};
use crate::record::{self, FRAME_BYTES};

use super::edit::{Edit, Sketch};
use super::{FRAME_BYTES_MAX, NAME, SLOT_BYTES_STEP};

/// A slot that changes while it is read is read again.
const ATTEMPTS: u32 = 3;

/// Which slot counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Place {
    /// 0 or 1.
    pub(super) slot: u64,
    pub(super) slot_bytes: u64,
    pub(super) generation: u64,
}

impl Place {
    /// Where it begins in the file.
    pub(super) const fn start(&self) -> u64 {
        self.slot.saturating_mul(self.slot_bytes)
    }
}

/// What a manifest that was found says, and what is behind that.
#[derive(Debug)]
pub(in crate::logstor) struct Found {
    pub(in crate::logstor) sketch: Sketch,
    /// Bytes that are no whole edit, and where in the file they begin.
    pub(in crate::logstor) torn_bytes: u64,
    pub(in crate::logstor) torn_at: u64,
    pub(in crate::logstor) path: PathBuf,
    /// `None` for a file of the version before: it is to be made anew.
    pub(in crate::logstor) place: Option<Place>,
}

/// What is wrong, and where.
type Wrong = (usize, &'static str);

/// Reads a store's manifest; `None` if there is no store yet.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if it is damaged elsewhere than at its end.
pub(in crate::logstor) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Found>, EngineError> {
    let path = dir.join(NAME);
    let mut wrong = (0, "");
    for _ in 0..ATTEMPTS {
        let file = match disk.open(&path, Access::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = vec![
            0;
            usize::try_from(file.len()?)
                .unwrap_or(usize::MAX)
                .min(8 * FRAME_BYTES_MAX)
        ];
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
        offset: offset as u64,
        what: what.to_owned(),
    })
}

fn parse(bytes: &[u8], path: &Path) -> Result<Found, Wrong> {
    if let Ok((sketch, at)) = record::decode::<Sketch>(bytes, FRAME_BYTES_MAX) {
        let sketch = sketch
            .of_version_2()
            .ok_or((0, "the manifest is of another version"))?;
        let rest = bytes.get(at..).unwrap_or_default();
        let (sketch, end) = with_edits(sketch, rest, |bytes| {
            record::decode::<Edit>(bytes, FRAME_BYTES_MAX).ok()
        })
        .map_err(|(offset, what)| (at + offset, what))?;
        let (torn_at, torn_bytes) = ((at + end) as u64, (rest.len() - end) as u64);
        return Ok(Found {
            sketch,
            torn_bytes,
            torn_at,
            path: path.to_path_buf(),
            place: None,
        });
    }
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at(half);
    let heads =
        [first, second].map(|slot| record::decode::<(Sketch, u64)>(slot, FRAME_BYTES_MAX).ok());
    let are_both = heads.iter().all(Option::is_some);
    let newest = (0_u64..)
        .zip(heads)
        .filter_map(|(slot, head)| Some((slot, head?)));
    let Some((slot, ((sketch, generation), at))) =
        newest.max_by_key(|(_, ((_, generation), _))| *generation)
    else {
        return Err((0, "not a log store's manifest"));
    };
    if !sketch.is_sound() || !(half as u64).is_multiple_of(SLOT_BYTES_STEP) {
        return Err((0, "the manifest is of another version"));
    }
    let place = Place {
        slot,
        slot_bytes: half as u64,
        generation,
    };
    let slot = if slot == 0 { first } else { second };
    let at_start = usize::try_from(place.start()).unwrap_or(usize::MAX);
    let rest = slot.get(at..).unwrap_or_default();
    let ours = |bytes: &[u8]| edit_of(bytes, generation);
    let (sketch, end) =
        with_edits(sketch, rest, ours).map_err(|(offset, what)| (at_start + at + offset, what))?;
    let behind = rest.get(end..).unwrap_or_default();
    // Where the other slot has not been cleared, nothing was acknowledged here yet, and anything may be behind.
    let torn = behind
        .iter()
        .rposition(|byte| *byte != 0)
        .filter(|_| !are_both)
        .map_or(0, |last| last + 1);
    Ok(Found {
        sketch,
        torn_bytes: torn as u64,
        torn_at: (at_start + at + end) as u64,
        path: path.to_path_buf(),
        place: Some(place),
    })
}

/// The edit at the start, if it is a sound one of that generation.
fn edit_of(bytes: &[u8], generation: u64) -> Option<(Edit, usize)> {
    // The first thing in a frame: without it the checksum of anything would be made.
    let told = bytes.get(FRAME_BYTES..)?.first_chunk()?;
    if u64::from_be_bytes(*told) != generation {
        return None;
    }
    let ((_, edit), len) = record::decode::<(u64, Edit)>(bytes, FRAME_BYTES_MAX).ok()?;
    Some((edit, len))
}

/// What the edits at the start of `bytes` come to, and where they end.
fn with_edits(
    mut sketch: Sketch,
    bytes: &[u8],
    edit_in: impl Fn(&[u8]) -> Option<(Edit, usize)>,
) -> Result<(Sketch, usize), Wrong> {
    let mut at = 0;
    while let Some((edit, len)) = bytes.get(at..).and_then(&edit_in) {
        sketch
            .apply(&edit)
            .map_err(|refused| (at, refused.what()))?;
        at += len;
    }
    // Edits are made durable one by one: only the last can be torn. No frame begins with zeros only, as the rest of a slot is.
    let is_followed = |from: usize| bytes.get(from..).and_then(&edit_in).is_some();
    let written = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if (at + 1..written).any(is_followed) {
        return Err((at, "a damaged edit"));
    }
    Ok((sketch, at))
}

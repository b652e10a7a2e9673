//! The commits of a file before its newest: the one a commit was derived from, and the newest that is whole.
//!
//! Every step goes to a lower position, so following them ends, whatever the bytes say.

use std::path::Path;
use std::sync::Arc;

use crate::EngineError;
use crate::disk::DiskFile;

use super::block::{self, BLOCK_BYTES};
use super::checksum::Checksum;
use super::find::header_at;
use super::header::{NO_PREVIOUS, VERSION_PREVIOUS};
use super::source::Source;
use super::tip::Tip;

/// The commit that `tip` was derived from; `None` at the first. Before version 14 that is the next header below.
///
/// # Errors
/// [`EngineError::Corrupt`] if it is damaged or of another version; [`EngineError::Disk`].
pub(super) fn older(tip: &Tip) -> Result<Option<Tip>, EngineError> {
    let older = if tip.header.version >= VERSION_PREVIOUS {
        match tip.header.previous {
            NO_PREVIOUS => return Ok(None),
            previous if previous >= tip.position => {
                return Err(tip.source.corrupt(tip.position, "header's predecessor lies behind it"));
            }
            previous => at(&tip.source, previous)?,
        }
    } else {
        below(&tip.source, tip.position)?
    };
    match older {
        Some(older) if older.header.version != tip.header.version => {
            Err(tip.source.corrupt(older.position, "header is of another version than the one after it"))
        }
        older => Ok(older),
    }
}

/// The commit at a position that another one names. Files that began without a header name 0, where none is.
fn at(source: &Source, position: u64) -> Result<Option<Tip>, EngineError> {
    let block_type = source.read_raw(position, 1)?.first().copied();
    if block_type != Some(block::HEADER) || !position.is_multiple_of(BLOCK_BYTES) {
        return match position {
            0 => Ok(None),
            _ => Err(source.corrupt(position, "no header is where the one after it says")),
        };
    }
    match header_at(source, position)? {
        Ok((header, length)) => {
            Ok(Some(Tip { source: source.clone(), header, position, end: position + length }))
        }
        // Old compactions leave this type on a first block that holds none.
        Err(_) if position == 0 => Ok(None),
        Err(error) => Err(source.corrupt(position, error.to_string())),
    }
}

/// The next header below a position.
fn below(source: &Source, mut position: u64) -> Result<Option<Tip>, EngineError> {
    while let Some(before) = position.checked_sub(1) {
        position = before / BLOCK_BYTES * BLOCK_BYTES;
        if source.read_raw(position, 1)?.first() == Some(&block::HEADER) {
            return at(source, position);
        }
    }
    Ok(None)
}

/// The newest activated commit whose header is whole, and what was wrong above it.
///
/// # Errors
/// [`EngineError::Unsupported`] if it is encrypted; [`EngineError::Disk`].
pub(super) fn newest_whole(
    file: Arc<dyn DiskFile>,
    path: &Path,
) -> Result<(Option<Tip>, Vec<EngineError>), EngineError> {
    let source = Source::new(file, path, Checksum::Crc32c);
    let mut damage = Vec::new();
    // As wherever a file is opened: a last byte by itself is no header.
    let mut position = source.file.len()?.saturating_sub(1);
    while let Some(before) = position.checked_sub(1) {
        position = before / BLOCK_BYTES * BLOCK_BYTES;
        match source.read_raw(position, 1)?.first() {
            None | Some(&(block::DATA | block::ENCRYPTION)) => {}
            Some(&block::HEADER) => match at(&source, position) {
                Ok(Some(tip)) if tip.header.encrypted => {
                    return Err(source.unsupported("the file is encrypted, and there is no key for it"));
                }
                Ok(Some(mut tip)) => {
                    tip.source.checksum = Checksum::of_version(tip.header.version);
                    return Ok((Some(tip), damage));
                }
                Ok(None) => {}
                Err(error @ EngineError::Corrupt { .. }) => damage.push(error),
                Err(error) => return Err(error),
            },
            Some(other) => {
                damage.push(source.corrupt(position, format!("block of unknown type {other:#04x}")));
            }
        }
    }
    damage.push(source.corrupt(0, "file has no header that is whole"));
    Ok((None, damage))
}

//! The search for the newest commit of a file: from the last block backwards.
//!
//! Everything below a block of type "header" is durable. An invalid header there is damage and an
//! error: using an older header would silently lose acknowledged commits. Only [`newest_whole`]
//! does so, and reports the damage.

use std::path::Path;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::format::block::{self, BLOCK_BYTES};
use crate::couchstore::format::header::HEADER_BYTES_MAX;
use crate::couchstore::format::{Checksum, Header, HeaderError};
use crate::disk::DiskFile;

use super::commit_view::CommitView;
use super::encryption;
use super::keyring::Keyring;
use super::source::Source;

/// Reads the header at a block's beginning, whatever the block's type. Returns its length as well.
pub(crate) fn header_at(
    source: &Source,
    position: u64,
) -> Result<Result<(Header, u64), HeaderError>, EngineError> {
    Ok(Header::decode(
        &source.read_raw(position, HEADER_BYTES_MAX)?,
        position,
    ))
}

/// Returns the newest activated commit of a file to write to.
///
/// # Errors
/// [`EngineError::Corrupt`] if there is none, or it is damaged; [`EngineError::Unsupported`] if it
/// is encrypted or of an unknown version; [`EngineError::Disk`].
pub(crate) fn newest(file: Arc<dyn DiskFile>, path: &Path) -> Result<CommitView, EngineError> {
    let view = backwards(file, path, &mut Err)?;
    if view.header.encrypted {
        Err(encryption::refuse(&view.source))
    } else {
        Ok(view)
    }
}

/// Returns the newest activated commit of a file to read from.
///
/// # Errors
/// Same as [`newest`]; for encrypted files same as [`encryption::unlock`].
pub(crate) fn newest_readable(
    file: Arc<dyn DiskFile>,
    path: &Path,
    keys: &Keyring,
) -> Result<CommitView, EngineError> {
    unlocked(backwards(file, path, &mut Err)?, keys)
}

/// Returns the newest commit with a sound header, if there is one, and the damage above it.
///
/// # Errors
/// Same as [`newest_readable`], except that damage is returned as a value.
pub(crate) fn newest_whole(
    file: Arc<dyn DiskFile>,
    path: &Path,
    keys: &Keyring,
) -> Result<(Option<CommitView>, Vec<EngineError>), EngineError> {
    let mut passed = Vec::new();
    let found = backwards(file, path, &mut |damage| {
        passed.push(damage);
        Ok(())
    });
    match found {
        Ok(view) => Ok((Some(unlocked(view, keys)?), passed)),
        Err(EngineError::Corrupt { path, offset, .. }) => {
            let what = "file has no sound header".to_owned();
            passed.push(EngineError::Corrupt { path, offset, what });
            Ok((None, passed))
        }
        Err(error) => Err(error),
    }
}

fn unlocked(mut view: CommitView, keys: &Keyring) -> Result<CommitView, EngineError> {
    if view.header.encrypted {
        encryption::unlock(&mut view, keys)?;
    }
    Ok(view)
}

/// A callback that decides whether damage ends the search.
type OnDamage<'a> = &'a mut dyn FnMut(EngineError) -> Result<(), EngineError>;

fn backwards(
    file: Arc<dyn DiskFile>,
    path: &Path,
    on_damage: OnDamage<'_>,
) -> Result<CommitView, EngineError> {
    let mut source = Source::new(file, path, Checksum::Crc32c);
    let len = source.file.len()?;
    let mut position = len.saturating_sub(2) / BLOCK_BYTES * BLOCK_BYTES;
    loop {
        match source.read_raw(position, 1)?.first() {
            None | Some(&(block::DATA | block::ENCRYPTION)) => {}
            Some(&block::HEADER) => match header_at(&source, position)? {
                Ok((header, length)) => {
                    source.checksum = Checksum::of_version(header.version);
                    return Ok(CommitView {
                        source,
                        header,
                        position,
                        end: position + length,
                    });
                }
                Err(HeaderError::Version(version)) => {
                    return Err(source.unsupported(HeaderError::Version(version).to_string()));
                }
                // Old compactions leave this type on a first block without a header.
                Err(_) if position == 0 => {}
                Err(error) => on_damage(source.corrupt(position, error.to_string()))?,
            },
            Some(other) => {
                on_damage(source.corrupt(position, format!("block of unknown type {other:#04x}")))?;
            }
        }
        match position.checked_sub(BLOCK_BYTES) {
            Some(before) => position = before,
            None => return Err(source.corrupt(0, "file has no header")),
        }
    }
}

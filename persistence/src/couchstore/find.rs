//! Finding the newest commit of a file: blocks are looked at from the end backwards.
//!
//! Under a block type of "header" everything is durable. So an invalid one is damage, and an error: falling back to an
//! older header would silently lose what was acknowledged.

use std::path::Path;
use std::sync::Arc;

use crate::EngineError;
use crate::disk::DiskFile;

use super::block::{self, BLOCK_BYTES};
use super::checksum::Checksum;
use super::header::{HEADER_BYTES_MAX, Header, HeaderError, NO_PREVIOUS};
use super::source::Source;
use super::tip::Tip;

/// Reads the header at a block's beginning, whatever the block's type; says how many bytes it takes.
pub(super) fn header_at(
    source: &Source,
    position: u64,
) -> Result<Result<(Header, u64), HeaderError>, EngineError> {
    Ok(Header::decode(&source.read_raw(position, HEADER_BYTES_MAX)?, position))
}

/// The newest activated commit.
///
/// # Errors
/// [`EngineError::Corrupt`] if there is none, or it is damaged; [`EngineError::Unsupported`] if it is of a version or
/// encryption we can't read; [`EngineError::Disk`].
pub(super) fn newest(file: Arc<dyn DiskFile>, path: &Path) -> Result<Tip, EngineError> {
    let mut source = Source::new(file, path, Checksum::Crc32c);
    let len = source.file.len()?;
    let mut position = len.saturating_sub(2) / BLOCK_BYTES * BLOCK_BYTES;
    loop {
        match source.read_raw(position, 1)?.first() {
            None | Some(&(block::DATA | block::ENCRYPTION)) => {}
            Some(&block::HEADER) => match header_at(&source, position)? {
                Ok((header, _)) if header.encrypted => {
                    return Err(source.unsupported("the file is encrypted, and there is no key for it"));
                }
                Ok((header, length)) => {
                    source.checksum = Checksum::of_version(header.version);
                    return Ok(Tip { source, header, position, end: position + length });
                }
                Err(HeaderError::Version(version)) => {
                    return Err(source.unsupported(HeaderError::Version(version).to_string()));
                }
                // Old compactions leave this type on a first block that holds none.
                Err(_) if position == 0 => {}
                Err(error) => return Err(source.corrupt(position, error.to_string())),
            },
            Some(other) => {
                return Err(source.corrupt(position, format!("block of unknown type {other:#04x}")));
            }
        }
        match position.checked_sub(BLOCK_BYTES) {
            Some(before) => position = before,
            None => return Err(source.corrupt(0, "file has no header")),
        }
    }
}

/// Where the commit is that `tip` was derived from, if the version tells and there is one.
pub(super) fn previous(tip: &Tip) -> Result<Option<u64>, EngineError> {
    let position = tip.header.previous;
    if position == NO_PREVIOUS || position >= tip.position {
        return Ok(None);
    }
    // Files that began without a header say 0, where none is.
    let block_type = tip.source.read_raw(position, 1)?;
    Ok((block_type.first() == Some(&block::HEADER)).then_some(position))
}

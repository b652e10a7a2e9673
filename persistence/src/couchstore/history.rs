//! Earlier commits of a file: a commit goes in, the one it was derived from comes out, and so on back to the oldest.
//!
//! Always: only activated headers that pass every check are taken for commits. Since version 14 a header names the one
//! before it, and nothing else is looked at: so what a rollback gave up is not met again. Older files are searched
//! downwards block by block, which is safe because a block of data never has a header's type. There a header that was
//! given up is met, but only behind the one that took its place, which is at or below it: so whoever looks for the
//! newest at or below a seqno never picks it.

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::format::block::{self, BLOCK_BYTES};
use crate::couchstore::format::header::{NO_PREVIOUS, VERSION_PREVIOUS};

use super::find;
use super::tip::Tip;

/// What there is at or below a seqno.
#[derive(Debug)]
pub(super) enum Earlier {
    /// The newest such commit.
    Found(Box<Tip>),
    /// None; this is the oldest commit's high seqno.
    OnlyAbove(Seqno),
}

/// The newest commit at or below `to`, `tip` itself included. Reads each header on the way.
///
/// # Errors
/// [`EngineError::Corrupt`] if a header on the way is damaged; [`EngineError::Disk`].
pub(super) fn at_or_below(tip: &Tip, to: Seqno) -> Result<Earlier, EngineError> {
    let mut commit = tip.clone();
    while commit.header.update_seq > to.0 {
        match before(&commit)? {
            Some(earlier) => commit = earlier,
            None => return Ok(Earlier::OnlyAbove(Seqno(commit.header.update_seq))),
        }
    }
    Ok(Earlier::Found(Box::new(commit)))
}

/// The commit before this one: the one it was derived from, or before version 14 the next one below.
///
/// # Errors
/// [`EngineError::Corrupt`] if there is one and it is damaged; [`EngineError::Disk`].
pub(super) fn before(tip: &Tip) -> Result<Option<Tip>, EngineError> {
    if tip.header.version >= VERSION_PREVIOUS {
        named(tip)
    } else {
        below(tip)
    }
}

/// The commit that a header names as the one before.
fn named(tip: &Tip) -> Result<Option<Tip>, EngineError> {
    let position = tip.header.previous;
    if position == NO_PREVIOUS {
        return Ok(None);
    }
    if position >= tip.position || !position.is_multiple_of(BLOCK_BYTES) {
        return Err(tip.source.corrupt(
            tip.position,
            format!("the header before it can't be at {position}"),
        ));
    }
    match tip.source.read_raw(position, 1)?.first() {
        Some(&block::HEADER) => commit_at(tip, position),
        // Files that began without a header say 0, where none is.
        _ if position == 0 => Ok(None),
        _ => Err(tip
            .source
            .corrupt(position, "block is no header, though a later one says so")),
    }
}

/// The next commit downwards in the file.
fn below(tip: &Tip) -> Result<Option<Tip>, EngineError> {
    let mut position = tip.position;
    while let Some(next) = position.checked_sub(BLOCK_BYTES) {
        position = next;
        match tip.source.read_raw(position, 1)?.first() {
            Some(&block::HEADER) => return commit_at(tip, position),
            Some(&(block::DATA | block::ENCRYPTION)) => {}
            _ => return Err(tip.source.corrupt(position, "block of unknown type")),
        }
    }
    Ok(None)
}

fn commit_at(tip: &Tip, position: u64) -> Result<Option<Tip>, EngineError> {
    match find::header_at(&tip.source, position)? {
        Ok((header, length))
            if header.version == tip.header.version && header.encrypted == tip.header.encrypted =>
        {
            Ok(Some(Tip {
                source: tip.source.clone(),
                header,
                position,
                end: position + length,
            }))
        }
        Ok(_) => Err(tip
            .source
            .corrupt(position, "header is of another version than a later one")),
        // Old compactions leave this type on a first block that holds none.
        Err(_) if position == 0 => Ok(None),
        Err(error) => Err(tip.source.corrupt(position, error.to_string())),
    }
}

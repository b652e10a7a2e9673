//! The chain of commits in a file, from one to that it was derived from, back to the oldest.
//!
//! What always holds: only activated headers that pass every check count as commits. Since version
//! 14 a header names the one before it, and nothing else is searched, so a commit that a rollback
//! abandoned is never met again.
//!
//! Older files are searched downwards block by block, which is safe because a block of data never
//! has a header's type. An abandoned header is met there, but only after the header that replaced
//! it, which is at or below it. So a search for the newest commit at or below a seqno never returns
//! it.

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::format::block::{self, BLOCK_BYTES};
use crate::couchstore::format::header::{NO_PREVIOUS, VERSION_PREVIOUS};

use super::commit_view::CommitView;
use super::header_search;

/// The result of a search for a commit at or below a seqno.
#[derive(Debug)]
pub(crate) enum Earlier {
    /// The newest such commit.
    Found(Box<CommitView>),
    /// No such commit; the high seqno of the oldest one.
    OnlyAbove(Seqno),
}

/// Returns the newest commit at or below `to`, `view` included. Reads each header on the way.
///
/// # Errors
/// [`EngineError::Corrupt`] if a header on the way is damaged; [`EngineError::Disk`].
pub(crate) fn at_or_below(view: &CommitView, to: Seqno) -> Result<Earlier, EngineError> {
    let mut commit = view.clone();
    while commit.header.update_seq > to.0 {
        match before(&commit)? {
            Some(earlier) => commit = earlier,
            None => return Ok(Earlier::OnlyAbove(Seqno(commit.header.update_seq))),
        }
    }
    Ok(Earlier::Found(Box::new(commit)))
}

/// Returns the commit before this one: the one it was derived from, or before version 14 the next
/// one below.
///
/// # Errors
/// [`EngineError::Corrupt`] if that commit exists and is damaged; [`EngineError::Disk`].
pub(crate) fn before(view: &CommitView) -> Result<Option<CommitView>, EngineError> {
    if view.header.version >= VERSION_PREVIOUS {
        named(view)
    } else {
        below(view)
    }
}

/// Returns the position of the commit that `view` was derived from, if the header names it and it
/// exists.
pub(crate) fn previous(view: &CommitView) -> Result<Option<u64>, EngineError> {
    let position = view.header.previous;
    if position == NO_PREVIOUS || position >= view.position {
        return Ok(None);
    }
    // A file that began without a header names position 0, which holds none.
    let block_type = view.source.read_raw(position, 1)?;
    Ok((block_type.first() == Some(&block::HEADER)).then_some(position))
}

/// Returns the commit that a header names as the one before.
fn named(view: &CommitView) -> Result<Option<CommitView>, EngineError> {
    let position = view.header.previous;
    if position == NO_PREVIOUS {
        return Ok(None);
    }
    if position >= view.position || !position.is_multiple_of(BLOCK_BYTES) {
        return Err(view.source.corrupt(
            view.position,
            format!("previous header can't be at {position}"),
        ));
    }
    match view.source.read_raw(position, 1)?.first() {
        Some(&block::HEADER) => commit_at(view, position),
        // A file that began without a header names position 0, which holds none.
        _ if position == 0 => Ok(None),
        _ => Err(view.source.corrupt(
            position,
            "block is not the header that a later one points to",
        )),
    }
}

/// Returns the next commit downwards in the file.
fn below(view: &CommitView) -> Result<Option<CommitView>, EngineError> {
    let mut position = view.position;
    while let Some(next) = position.checked_sub(BLOCK_BYTES) {
        position = next;
        match view.source.read_raw(position, 1)?.first() {
            Some(&block::HEADER) => return commit_at(view, position),
            Some(&(block::DATA | block::ENCRYPTION)) => {}
            _ => return Err(view.source.corrupt(position, "block of unknown type")),
        }
    }
    Ok(None)
}

fn commit_at(view: &CommitView, position: u64) -> Result<Option<CommitView>, EngineError> {
    match header_search::header_at(&view.source, position)? {
        Ok((header, length))
            if header.version == view.header.version
                && header.encrypted == view.header.encrypted =>
        {
            Ok(Some(CommitView {
                source: view.source.clone(),
                header,
                position,
                end: position + length,
            }))
        }
        Ok(_) => Err(view
            .source
            .corrupt(position, "header is of another version than a later one")),
        // Old compactions leave this type on a first block without a header.
        Err(_) if position == 0 => Ok(None),
        Err(error) => Err(view.source.corrupt(position, error.to_string())),
    }
}

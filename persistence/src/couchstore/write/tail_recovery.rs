//! Opening a file for writing: acknowledged commits come back, and everything else is cut off,
//! durably.
//!
//! An acknowledged commit may lack its block type, which is written after the sync without a sync
//! of its own. So after the newest activated header the file is parsed on, chunk by chunk. It is
//! never searched, because bodies can imitate headers.
//!
//! A successor is accepted if it is complete, matches every checksum, and its new roots are nodes.
//! Roots are read because a chunk that lost all but its first bytes reads as zeros after them. Such
//! a chunk looks empty, with the right checksum.
//!
//! The bytes of a successor may be in the page cache only, if the sync of its commit failed. No
//! later sync would bring them to the disk, so they are written again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::file::{CacheHint, CommitView, chunk, header_search};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::header::VERSION_PREVIOUS;
use crate::couchstore::format::{ChunkHead, Header, Tree, block};
use crate::disk::DiskFile;
use crate::fault::{self, Fault};
use crate::numbers::to_u64;

use super::activation::activate;
use super::preallocation::PREALLOCATION_BYTES_MAX;

/// Bytes that are copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// Returns the file's newest commit, made durable and the last thing in the file, and a line for
/// each repair.
///
/// # Errors
/// Same as [`header_search::newest`]; [`EngineError::Disk`] if a repair failed. Opening again
/// resumes the repair.
pub(crate) fn open(
    file: Arc<dyn DiskFile>,
    path: &Path,
) -> Result<(CommitView, Vec<String>), EngineError> {
    let mut view = header_search::newest(file, path)?;
    let mut repairs = Vec::new();
    // That byte may have been part of a failed sync as well.
    activate(&view)?;
    view.source.file.sync_data()?;
    while let Some(next) = successor(&view)? {
        rewrite(&view, &next)?;
        repairs.push(format!(
            "header at {} was complete but not activated: activated, high seqno {}",
            next.position, next.header.update_seq
        ));
        view = next;
    }
    let len = view.source.file.len()?;
    if len < view.end {
        // Another program has cut it since the header was read.
        return Err(became_shorter(&view, len));
    }
    if len > view.end {
        let is_preallocated = is_preallocated(&view, len)?;
        view.source.file.set_len(view.end)?;
        view.source.file.sync_data()?;
        if !is_preallocated {
            repairs.push(format!(
                "{} bytes after the header at {} belong to no commit: cut off",
                len - view.end,
                view.position
            ));
        }
    }
    Ok((view, repairs))
}

/// Returns whether only preallocated zeros (E25) lie behind a commit. They are no damage and not
/// reported.
fn is_preallocated(view: &CommitView, len: u64) -> Result<bool, EngineError> {
    let zero_bytes = len - view.end;
    if zero_bytes > PREALLOCATION_BYTES_MAX {
        return Ok(false);
    }
    Ok(view
        .source
        .read_raw(view.end, zero_bytes)?
        .iter()
        .all(|&byte| byte == 0))
}

/// Returns the commit right after `view`, if all of it exists.
pub(crate) fn successor(view: &CommitView) -> Result<Option<CommitView>, EngineError> {
    if view.header.version < VERSION_PREVIOUS {
        return Ok(None);
    }
    let Some((chunks, end)) = chunks_after(view)? else {
        return Ok(None);
    };
    let position = block::next_boundary(end);
    if view.source.read_raw(position, 1)?.first() != Some(&block::DATA) {
        return Ok(None);
    }
    let Ok((header, length)) = header_search::header_at(&view.source, position)? else {
        return Ok(None);
    };
    if !follows(view, &header, &chunks) {
        return Ok(None);
    }
    let next = CommitView {
        source: view.source.clone(),
        header,
        position,
        end: position + length,
    };
    Ok(has_roots(view, &next)?.then_some(next))
}

/// Returns whether the roots that `next` does not share with `view` are nodes.
fn has_roots(view: &CommitView, next: &CommitView) -> Result<bool, EngineError> {
    if fault::is(Fault::TornCommitIsWhole) {
        return Ok(true);
    }
    for tree in [Tree::BySeqno, Tree::ById, Tree::Local] {
        let Some(root) = next.header.root(tree) else {
            continue;
        };
        if Some(root) == view.header.root(tree) {
            continue;
        }
        match next.node(root.position, CacheHint::None) {
            Ok(_) => {}
            Err(EngineError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Returns whether a header continues from `view`. Its new roots must be among the chunks between.
/// The last chunk must be one of them, as in every commit: if the last chunks were lost, the
/// apparent header could lie inside a body.
fn follows(view: &CommitView, header: &Header, chunks: &BTreeSet<u64>) -> bool {
    let trees = [Tree::BySeqno, Tree::ById, Tree::Local];
    let last = chunks.last().copied();
    header.version == view.header.version
        && !header.encrypted
        && header.previous == view.position
        && header.update_seq >= view.header.update_seq
        && trees
            .into_iter()
            .filter_map(|tree| header.root(tree))
            .any(|root| Some(root.position) == last)
        && trees.into_iter().all(|tree| match header.root(tree) {
            None => true,
            root if root == view.header.root(tree) => true,
            Some(root) => chunks.contains(&root.position),
        })
}

/// Returns the positions of the chunks after a commit and the end of the last one, or `None` if one
/// is damaged.
fn chunks_after(view: &CommitView) -> Result<Option<(BTreeSet<u64>, u64)>, EngineError> {
    let len = view.source.file.len()?;
    let mut chunks = BTreeSet::new();
    let mut position = view.end;
    loop {
        let start = block::data_start(position);
        let raw = view
            .source
            .read_raw(start, block::end_of(start, HEAD_BYTES) - start)?;
        let Some(head) = ChunkHead::decode(&block::strip(raw, start)) else {
            break;
        };
        match chunk::read(&view.source, position, head.body_bytes, len) {
            Ok(_) => {}
            Err(EngineError::Corrupt { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        chunks.insert(position);
        position = block::end_of(start, HEAD_BYTES + head.body_bytes);
    }
    Ok(Some((chunks, position)))
}

/// Writes all bytes of a commit again, makes them durable, and activates the commit.
fn rewrite(view: &CommitView, next: &CommitView) -> Result<(), EngineError> {
    let file = &view.source.file;
    let mut position = view.end;
    while position < next.end {
        let bytes = view
            .source
            .read_raw(position, COPY_BYTES.min(next.end - position))?;
        if bytes.is_empty() {
            return Err(became_shorter(next, position));
        }
        file.write_at(&[&bytes], position)?;
        position += to_u64(bytes.len());
    }
    file.sync_data()?;
    activate(next)?;
    Ok(file.sync_data()?)
}

/// Returns the error of a file that ends inside a commit that was read from it.
fn became_shorter(view: &CommitView, len: u64) -> EngineError {
    let end = view.end;
    let what = format!("the file became shorter: its commit ends at {end}");
    view.source.corrupt(len, what)
}

//! Opening a file for writing: what was acknowledged is brought back, everything else is cut off, durably.
//!
//! An acknowledged commit may lack its block type: that is written after the sync, without one of its own. So after
//! the newest activated header the file is parsed on, chunk by chunk, never searched, because bodies can imitate
//! headers. A successor that is complete and matches every checksum is kept, if its new roots are nodes: of a chunk that
//! lost all but its first bytes the rest reads as zeros, which say that it is empty and has the right checksum. The bytes
//! of a successor may be in the page cache only, of a commit whose sync failed, and no later sync would bring them to the
//! disk: so they are written again.

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

use super::activation::activate;
use super::preallocation::PREALLOCATION_BYTES_MAX;

/// How much is copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// The file's newest commit, durable and the last thing in it, and what was done to get there.
///
/// # Errors
/// As [`header_search::newest`]; [`EngineError::Disk`] if a repair failed: opening again goes on from there.
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
    if len > view.end {
        let is_room = is_room(&view, len)?;
        view.source.file.set_len(view.end)?;
        view.source.file.sync_data()?;
        if !is_room {
            repairs.push(format!(
                "{} bytes after the header at {} belong to no commit: cut off",
                len - view.end,
                view.position
            ));
        }
    }
    Ok((view, repairs))
}

/// Whether behind a commit is but the room that whoever wrote it had made for others (E25): no damage, and no news.
fn is_room(view: &CommitView, len: u64) -> Result<bool, EngineError> {
    let room_bytes = len - view.end;
    if room_bytes > PREALLOCATION_BYTES_MAX {
        return Ok(false);
    }
    Ok(view
        .source
        .read_raw(view.end, room_bytes)?
        .iter()
        .all(|&byte| byte == 0))
}

/// The commit right after `view`, if all of it is there.
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

/// Whether the roots that a commit does not have from `view` are nodes.
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

/// Whether a header continues from `view`, its new roots are among the chunks between, and the last chunk is one of
/// them, as it is in every commit. Were the last chunks lost, what looks like the header could be inside a body.
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

/// Positions of the chunks after a commit, and where the last one ends; `None` if one is damaged.
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

/// Writes all of a commit again as it is, makes it durable, and activates it.
fn rewrite(view: &CommitView, next: &CommitView) -> Result<(), EngineError> {
    let file = &view.source.file;
    let mut position = view.end;
    while position < next.end {
        let bytes = view
            .source
            .read_raw(position, COPY_BYTES.min(next.end - position))?;
        file.write_at(&[&bytes], position)?;
        position += bytes.len().max(1) as u64;
    }
    file.sync_data()?;
    activate(next)?;
    Ok(file.sync_data()?)
}

//! The tombstones of a commit: found by key, leaving out every subtree that has none, as the tree's sums tell.
//!
//! E27. A collection's highest seqno stays, though it be a tombstone's: whoever counts on a collection's seqnos, as a
//! stream of it that is to end at its highest, finds them where they were. System events are nobody's last word: they
//! are about collections, not in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Namespace, Seqno};

use crate::contract::EngineError;
use crate::couchstore::btree::{DEPTH_MAX, too_deep};
use crate::couchstore::file::{CacheHint, CommitView};
use crate::couchstore::format::{DocInfo, NodeKind, Pointer, Reduction, Tree, by_id, document};

/// The collection a stored key is in; `None` of a system event.
pub(crate) fn collection(id: &Bytes) -> Option<u32> {
    let (namespace, key) = document::split_key(id)?;
    (namespace != Namespace::System).then(|| key.collection())
}

/// The rows a purge up to `upto` removes, by key: tombstones at or below it, but for the commit's highest seqno and those
/// of its collections. O(tombstones), and rows that follow the last tombstone of a collection until one is in it.
///
/// # Errors
/// [`EngineError::Corrupt`] or [`EngineError::Disk`].
pub(crate) fn to_purge(view: &CommitView, upto: Seqno) -> Result<Vec<DocInfo>, EngineError> {
    let mut rows: Vec<DocInfo> = Vec::new();
    let mut todo: Vec<(usize, Pointer)> = view.header.by_id.iter().map(|&root| (0, root)).collect();
    let mut last: Option<DocInfo> = None;
    while let Some((depth, pointer)) = todo.pop() {
        if depth >= DEPTH_MAX {
            return Err(too_deep(view, Tree::ById));
        }
        if !has_tombstones(&pointer) {
            continue;
        }
        let node = view.node(pointer.position, CacheHint::InteriorOnly)?;
        match node.kind {
            NodeKind::Interior => {
                let children = node
                    .entries()
                    .map(|(_, value)| view.child(Tree::ById, pointer.position, value));
                let children: Vec<Pointer> = children.collect::<Result<_, _>>()?;
                todo.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
            }
            NodeKind::Leaf => {
                for (key, value) in node.entries() {
                    let info =
                        by_id::decode(key, value).ok_or_else(|| view.corrupt_row(Tree::ById))?;
                    // A damaged tree could lead to the same leaves again and again.
                    if last.is_some_and(|last| last.id >= info.id) {
                        return Err(view
                            .source
                            .corrupt(pointer.position, "keys of the by-id tree don't ascend"));
                    }
                    if info.deleted && info.seqno <= upto && info.seqno.0 != view.header.update_seq
                    {
                        rows.push(info.clone());
                    }
                    last = Some(info);
                }
            }
        }
    }
    let highest = highest_of_collections(view, &rows)?;
    rows.retain(|row| collection(&row.id).and_then(|of| highest.get(&of)) != Some(&row.seqno));
    Ok(rows)
}

/// Those of these tombstones that have their collection's highest seqno.
fn highest_of_collections(
    view: &CommitView,
    tombstones: &[DocInfo],
) -> Result<BTreeMap<u32, Seqno>, EngineError> {
    let mut highest: BTreeMap<u32, Seqno> = BTreeMap::new();
    for row in tombstones {
        if let Some(collection) = collection(&row.id) {
            let seqno = highest.entry(collection).or_default();
            *seqno = row.seqno.max(*seqno);
        }
    }
    let Some(&lowest) = highest.values().min() else {
        return Ok(highest);
    };
    for row in view.rows(lowest.next())? {
        let row = row?;
        if let Some(collection) = collection(&row.id)
            && highest
                .get(&collection)
                .is_some_and(|&seqno| seqno < row.seqno)
        {
            highest.remove(&collection);
        }
        if highest.is_empty() {
            break;
        }
    }
    Ok(highest)
}

fn has_tombstones(pointer: &Pointer) -> bool {
    match pointer.reduction {
        Reduction::Documents { deleted, .. } => deleted > 0,
        Reduction::Rows(_) | Reduction::Nothing => true,
    }
}

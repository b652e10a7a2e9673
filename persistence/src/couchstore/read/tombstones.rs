//! The tombstones of a commit, found by key. Subtrees without tombstones are skipped, as the tree's
//! sums allow.
//!
//! E27. The highest seqno of a collection stays, even if it is a tombstone's. A reader that relies
//! on it, such as a stream that ends at it, still finds it. System events do not count: they are
//! about collections, not in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Namespace, Seqno};

use crate::contract::EngineError;
use crate::couchstore::btree::{DEPTH_MAX, too_deep};
use crate::couchstore::file::{CacheHint, CommitView};
use crate::couchstore::format::{DocInfo, NodeKind, Pointer, Reduction, Tree, by_id, document};

/// Returns the collection of a stored key, or `None` for a system event.
pub(crate) fn collection(id: &Bytes) -> Option<u32> {
    let (namespace, key) = document::split_key(id)?;
    (namespace != Namespace::System).then(|| key.collection())
}

/// Returns the rows that a purge up to `upto` removes, by key. These are the tombstones at or below
/// it, except the commit's highest seqno and those of its collections. O(tombstones), and the rows
/// behind the last tombstone of each collection up to the next row in it.
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
                    // A damaged tree could lead to the same leaves endlessly.
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

/// Returns the tombstones among these that have the highest seqno of their collection.
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

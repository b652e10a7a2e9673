//! The tombstones of a commit: found by key, leaving out every subtree that has none, as the tree's sums tell.

use checkpoint::Seqno;

use crate::EngineError;

use super::btree_read::{DEPTH_MAX, too_deep};
use super::by_id;
use super::doc_info::DocInfo;
use super::node::NodeKind;
use super::pointer::Pointer;
use super::reduce::{Reduction, Tree};
use super::tip::Tip;

/// The rows a purge up to `upto` removes, by key: tombstones at or below it, but for the commit's highest seqno.
///
/// # Errors
/// [`EngineError::Corrupt`] or [`EngineError::Disk`].
pub(super) fn to_purge(tip: &Tip, upto: Seqno) -> Result<Vec<DocInfo>, EngineError> {
    let mut rows: Vec<DocInfo> = Vec::new();
    let mut todo: Vec<(usize, Pointer)> = tip.header.by_id.iter().map(|&root| (0, root)).collect();
    let mut last: Option<DocInfo> = None;
    while let Some((depth, pointer)) = todo.pop() {
        if depth >= DEPTH_MAX {
            return Err(too_deep(tip, Tree::ById));
        }
        if !has_tombstones(&pointer) {
            continue;
        }
        let node = tip.node(pointer.position)?;
        match node.kind {
            NodeKind::Interior => {
                let children =
                    node.entries().map(|(_, value)| tip.child(Tree::ById, pointer.position, value));
                let children: Vec<Pointer> = children.collect::<Result<_, _>>()?;
                todo.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
            }
            NodeKind::Leaf => {
                for (key, value) in node.entries() {
                    let info = by_id::decode(key, value).ok_or_else(|| tip.corrupt_row(Tree::ById))?;
                    // A damaged tree could lead to the same leaves again and again.
                    if last.is_some_and(|last| last.id >= info.id) {
                        return Err(tip
                            .source
                            .corrupt(pointer.position, "keys of the by-id tree don't ascend"));
                    }
                    if info.deleted && info.seqno <= upto && info.seqno.0 != tip.header.update_seq {
                        rows.push(info.clone());
                    }
                    last = Some(info);
                }
            }
        }
    }
    Ok(rows)
}

fn has_tombstones(pointer: &Pointer) -> bool {
    match pointer.reduction {
        Reduction::Documents { deleted, .. } => deleted > 0,
        Reduction::Rows(_) | Reduction::Nothing => true,
    }
}

//! The shape of a tree: its nodes, their depths and their sizes.
//!
//! Tests compare the shapes of our files with those of the vendor's, node by node.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CacheHint, CommitView};
use crate::couchstore::format::{Entry, NodeKind, Pointer, Tree};

use super::depth::{DEPTH_MAX, too_deep};

/// The shape of a node, without its position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeShape {
    /// Depth; 0 at the root.
    pub depth: usize,
    /// Whether its values are rows.
    pub leaf: bool,
    /// Number of entries.
    pub entries: usize,
    /// Size before compression, in bytes.
    pub raw_bytes: usize,
    /// First key.
    pub first_key: Bytes,
    /// Last key.
    pub last_key: Bytes,
}

/// Returns the nodes of a tree, each before those below it, left to right.
pub(crate) fn shape(view: &CommitView, tree: Tree) -> Result<Vec<NodeShape>, EngineError> {
    let mut shapes = Vec::new();
    let mut todo: Vec<(usize, Pointer, Option<Bytes>)> = Vec::new();
    todo.extend(view.header.root(tree).map(|root| (0, root, None)));
    while let Some((depth, pointer, last_key)) = todo.pop() {
        if depth >= DEPTH_MAX {
            return Err(too_deep(view, tree));
        }
        let node = view.node(pointer.position, CacheHint::InteriorOnly)?;
        let entries: Vec<Entry> = node.shared_entries().collect();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            continue;
        };
        // Otherwise a damaged tree could lead to the same nodes endlessly.
        if last_key.is_some_and(|key| key != last.key) {
            let what = format!(
                "an interior key of the {} is not the last one below it",
                tree.name()
            );
            return Err(view.source.corrupt(pointer.position, what));
        }
        shapes.push(NodeShape {
            depth,
            leaf: node.kind == NodeKind::Leaf,
            entries: entries.len(),
            raw_bytes: node.len(),
            first_key: first.key.clone(),
            last_key: last.key.clone(),
        });
        if node.kind == NodeKind::Interior {
            for entry in entries.into_iter().rev() {
                todo.push((
                    depth + 1,
                    view.child(tree, pointer.position, &entry.value)?,
                    Some(entry.key),
                ));
            }
        }
    }
    Ok(shapes)
}

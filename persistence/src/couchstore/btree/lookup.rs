//! Looking up one key in a tree.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CacheHint, CommitView};
use crate::couchstore::format::{NodeKind, Tree};

use super::depth::{DEPTH_MAX, too_deep};

/// Returns the value of `key` in one of the trees.
pub(crate) fn lookup(
    view: &CommitView,
    tree: Tree,
    key: &[u8],
) -> Result<Option<Bytes>, EngineError> {
    let Some(mut pointer) = view.header.root(tree) else {
        return Ok(None);
    };
    for _ in 0..DEPTH_MAX {
        let node = view.node(pointer.position, CacheHint::All)?;
        let Some((last, value)) = node.at_or_after(key) else {
            return Ok(None);
        };
        match node.kind {
            NodeKind::Leaf => return Ok((last == key).then(|| node.share(value))),
            NodeKind::Interior => pointer = view.child(tree, pointer.position, value)?,
        }
    }
    Err(too_deep(view, tree))
}

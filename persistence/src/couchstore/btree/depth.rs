//! The greatest depth of a tree, which bounds every descent into a damaged one.

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::Tree;

/// Levels that a reader follows at most. Interior nodes have two children, except for rare chains:
/// 48 levels would hold every seqno there is.
pub(crate) const DEPTH_MAX: usize = 64;

/// Makes the error for a tree deeper than [`DEPTH_MAX`].
pub(crate) fn too_deep(view: &CommitView, tree: Tree) -> EngineError {
    view.source
        .corrupt(view.position, format!("the {} is too deep", tree.name()))
}

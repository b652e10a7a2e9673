//! The survey of a tree that may be damaged: every readable node and row is reported, and every
//! flaw.
//!
//! Everything below an unreadable node is skipped, and the survey continues with the next.
//!
//! What always holds: no node is read twice and none below
//! [`DEPTH_MAX`](crate::couchstore::btree::DEPTH_MAX), so a survey ends whatever the bytes are.
//! Memory is one node for each level. Each node is compared with its own pointer, and that
//! pointer's sums with those of the pointers in the node. So one wrong sum is one flaw, not one for
//! each level above.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Extents};
use crate::couchstore::format::{NodeKind, Pointer, Tree};

use super::node_visit::{Level, Visit};
use super::surveyor::{FlawKind, LostRows, Surveyor};

/// Surveys a tree. Its nodes are added to `taken`.
///
/// # Errors
/// Any error except damage: [`EngineError::Disk`], or an error of the surveyor.
pub(crate) fn survey(
    view: &CommitView,
    tree: Tree,
    taken: &mut Extents,
    surveyor: &mut dyn Surveyor,
) -> Result<(), EngineError> {
    let mut survey = Survey::new(view, tree);
    while let Some(SurveyedRow { leaf, key, value }) = survey.next(view, Some(taken), surveyor)? {
        surveyor.row(leaf, &key, &value)?;
    }
    Ok(())
}

/// A row of a leaf.
#[derive(Clone, Debug)]
pub(crate) struct SurveyedRow {
    /// Position of the leaf.
    pub(crate) leaf: u64,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// A survey that returns one row at a time. It holds one node for each level and no reference to
/// the commit, which every call passes again.
#[derive(Debug)]
pub(crate) struct Survey {
    tree: Tree,
    root: Option<Pointer>,
    path: Vec<Level>,
    /// Depth of the first leaf, which all others must have.
    leaf_depth: Option<usize>,
}

impl Survey {
    /// Begins a survey of a tree of `view`.
    pub(crate) fn new(view: &CommitView, tree: Tree) -> Self {
        Self {
            tree,
            root: view.header.root(tree),
            path: Vec::new(),
            leaf_depth: None,
        }
    }

    /// Returns the next row, and reports nodes and flaws on the way to it. The nodes are added to
    /// `taken`, if it is given.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn next(
        &mut self,
        view: &CommitView,
        taken: Option<&mut Extents>,
        surveyor: &mut dyn Surveyor,
    ) -> Result<Option<SurveyedRow>, EngineError> {
        let mut visit = Visit {
            view,
            tree: self.tree,
            taken,
            surveyor,
            leaf_depth: &mut self.leaf_depth,
        };
        if let Some(root) = self.root.take() {
            self.path.extend(visit.node(root, None, None, 0)?);
        }
        loop {
            let depth = self.path.len();
            let Some(level) = self.path.last_mut() else {
                return Ok(None);
            };
            let Some(entry) = level.entries.next() else {
                self.path.pop();
                continue;
            };
            if level.kind == NodeKind::Leaf {
                return Ok(Some(SurveyedRow {
                    leaf: level.position,
                    key: entry.key,
                    value: entry.value,
                }));
            }
            let after = level.after.replace(entry.key.clone());
            let parent = level.position;
            match Pointer::decode_entry(self.tree, &entry.value) {
                Some(child) if child.position < parent => {
                    self.path
                        .extend(visit.node(child, after, Some(entry.key), depth)?);
                }
                child => {
                    let reduction = child.map(|child| child.reduction);
                    let lost = LostRows {
                        after,
                        last: Some(entry.key.clone()),
                        reduction,
                    };
                    let what = format!("bad pointer in the {}", self.tree.name());
                    visit.flaw(FlawKind::Lost(lost), parent, Some(entry.key), what);
                }
            }
        }
    }
}

//! The comparison of both indexes. Their digests are compared first; if they differ, each row of
//! one index is looked up in the other.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::btree;
use crate::couchstore::file::{CommitView, Extents};
use crate::couchstore::format::{DocInfo, Tree, by_seqno};
use crate::couchstore::tools::surveyor::{Flaw, SurveyedNode, Surveyor};
use crate::couchstore::tools::tree_survey;

use super::finding::{Finding, FindingKind};
use super::observer::CheckObserver;
use super::row_flaws;

/// Reports each row that differs between the indexes.
pub(crate) fn compare(
    view: &CommitView,
    observer: &mut dyn CheckObserver,
) -> Result<(), EngineError> {
    for tree in [Tree::BySeqno, Tree::ById] {
        let mut lookup = Lookup {
            view,
            tree,
            observer,
        };
        tree_survey::survey(view, tree, &mut Extents::default(), &mut lookup)?;
    }
    Ok(())
}

/// A surveyor that looks each row of one index up in the other.
struct Lookup<'a> {
    view: &'a CommitView,
    tree: Tree,
    observer: &'a mut dyn CheckObserver,
}

/// Returns the other index's row of the same document, or of the same seqno.
pub(crate) fn other(
    view: &CommitView,
    tree: Tree,
    info: &DocInfo,
) -> Result<Option<DocInfo>, EngineError> {
    let (tree, key) = match tree {
        Tree::BySeqno => (Tree::ById, info.id.clone()),
        _ => (Tree::BySeqno, by_seqno::key(info.seqno)),
    };
    let value = btree::lookup(view, tree, &key)?;
    Ok(value.and_then(|value| row_flaws::decode(tree, &key, &value)))
}

/// Returns how the other index differs from a row of `tree`, if it does.
pub(crate) fn difference(
    view: &CommitView,
    tree: Tree,
    info: &DocInfo,
) -> Result<Option<&'static str>, EngineError> {
    let other = match other(view, tree, info) {
        Ok(other) => other,
        // Damage of the other index is already reported.
        Err(EngineError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match (tree, other) {
        (_, Some(other)) if other == *info => None,
        (Tree::BySeqno, None) => Some("the by-id index has no row for it"),
        (Tree::BySeqno, Some(other)) if other.seqno != info.seqno => {
            Some("the by-id index has another revision of it")
        }
        (Tree::BySeqno, Some(_)) => Some("the by-id index has different data for it"),
        (_, None) => Some("the by-seqno index has no row for it"),
        (_, Some(other)) if other.id != info.id => {
            Some("the by-seqno index has another document there")
        }
        // The comparison in the other direction reports this.
        (_, Some(_)) => None,
    })
}

impl Surveyor for Lookup<'_> {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let Some(info) = row_flaws::decode(self.tree, key, value) else {
            return Ok(());
        };
        if let Some(what) = difference(self.view, self.tree, &info)? {
            let finding = Finding::new(FindingKind::Index, leaf, what.to_owned());
            self.observer
                .found(finding.in_tree(self.tree).of_row(info.seqno, &info.id));
        }
        Ok(())
    }

    // Flaws were reported when the rows were checked.
    fn flaw(&mut self, _: Flaw) {}
}

//! Whether both indexes hold the same rows. Each is summed up in an order that doesn't matter; only if the sums differ
//! is every row looked up in the other index, to say which it is.

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

/// Tells each row that is not the same in both indexes.
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

/// Looks each row of one index up in the other.
struct Lookup<'a> {
    view: &'a CommitView,
    tree: Tree,
    observer: &'a mut dyn CheckObserver,
}

/// What the other index says of a row's document, or of its seqno.
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

/// How the other index differs from a row of `tree`, if it does.
pub(crate) fn difference(
    view: &CommitView,
    tree: Tree,
    info: &DocInfo,
) -> Result<Option<&'static str>, EngineError> {
    let other = match other(view, tree, info) {
        Ok(other) => other,
        // What is damaged there was told already.
        Err(EngineError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match (tree, other) {
        (_, Some(other)) if other == *info => None,
        (Tree::BySeqno, None) => Some("the by-id index has no row for it"),
        (Tree::BySeqno, Some(other)) if other.seqno != info.seqno => {
            Some("the by-id index has another revision of it")
        }
        (Tree::BySeqno, Some(_)) => Some("the by-id index says other things of it"),
        (_, None) => Some("the by-seqno index has no row for it"),
        (_, Some(other)) if other.id != info.id => {
            Some("the by-seqno index has another document there")
        }
        // Told when looked at from the other side.
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

    // Told when the rows were looked at.
    fn flaw(&mut self, _: Flaw) {}
}

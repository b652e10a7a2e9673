//! The check of an index's nodes and rows.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, Tree, document};
use crate::couchstore::tools::surveyor::{Flaw, FlawKind, SurveyedNode, Surveyor};

use super::digest::Digest;
use super::finding::{Finding, FindingKind};
use super::observer::CheckObserver;
use super::row_flaws;

/// Pending prepares, as the vBucket's state counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prepares {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// The totals of an index's rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowTotals {
    pub(crate) nodes: u64,
    pub(crate) digest: Digest,
    pub(crate) prepares: Prepares,
}

/// A surveyor that checks the nodes and rows of an index.
pub(crate) struct RowCheck<'a> {
    view: &'a CommitView,
    tree: Tree,
    observer: &'a mut dyn CheckObserver,
    seen: RowTotals,
}

impl<'a> RowCheck<'a> {
    pub(crate) fn new(
        view: &'a CommitView,
        tree: Tree,
        observer: &'a mut dyn CheckObserver,
    ) -> Self {
        Self {
            view,
            tree,
            observer,
            seen: RowTotals::default(),
        }
    }

    pub(crate) fn finish(self) -> RowTotals {
        self.seen
    }

    fn report(&mut self, kind: FindingKind, leaf: u64, info: &DocInfo, what: String) {
        let finding = Finding::new(kind, leaf, what)
            .in_tree(self.tree)
            .of_row(info.seqno, &info.id);
        self.observer.found(finding);
    }

    fn check(&mut self, leaf: u64, info: &DocInfo) {
        for (kind, what) in row_flaws::flaws(self.view.header.update_seq, info) {
            self.report(kind, leaf, info, what);
        }
    }
}

impl Surveyor for RowCheck<'_> {
    fn node(&mut self, _: SurveyedNode) {
        self.seen.nodes += 1;
    }

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let Some(info) = row_flaws::decode(self.tree, key, value) else {
            let flaw = Flaw {
                kind: FlawKind::Structure,
                position: leaf,
                key: Some(key.clone()),
                what: "row is too short".to_owned(),
            };
            self.observer.found(Finding {
                kind: FindingKind::Row,
                ..Finding::of_flaw(self.tree, flaw)
            });
            return Ok(());
        };
        self.seen.digest.add(&info);
        // Differences of the other index are found by comparing digests.
        if self.tree == Tree::BySeqno {
            if document::is_prepared(&info.id) && !info.deleted {
                self.seen.prepares.count += 1;
                self.seen.prepares.bytes += info.physical_bytes;
            }
            self.check(leaf, &info);
        }
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        self.observer.found(Finding::of_flaw(self.tree, flaw));
    }
}

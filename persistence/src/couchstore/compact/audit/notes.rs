//! The findings of a survey between two rows.

use bytes::Bytes;

use crate::contract::{EngineError, Severity};
use crate::couchstore::format::Tree;
use crate::couchstore::tools::{Finding, Flaw, FlawKind, SurveyedNode, Surveyor};

/// The places and the flaws that a survey met since the last row.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) tree: Tree,
    pub(super) nodes: Vec<(u64, u64)>,
    pub(super) found: Option<Finding>,
    /// Whether a part of the by-id index cannot be read.
    pub(super) lost: bool,
}

impl Notes {
    pub(super) const fn new(tree: Tree) -> Self {
        Self {
            tree,
            nodes: Vec::new(),
            found: None,
            lost: false,
        }
    }
}

impl Surveyor for Notes {
    fn node(&mut self, node: SurveyedNode) {
        self.nodes.push((node.start, node.end));
    }

    // The audit takes rows one by one.
    fn row(&mut self, _: u64, _: &Bytes, _: &Bytes) -> Result<(), EngineError> {
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        if self.tree == Tree::ById && matches!(flaw.kind, FlawKind::Lost(_)) {
            self.lost = true;
            return;
        }
        let finding = Finding::of_flaw(self.tree, flaw);
        if self.found.is_none() && finding.severity() == Severity::Damage {
            self.found = Some(finding);
        }
    }
}

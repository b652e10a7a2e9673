//! The check of the local tree, and of the vBucket's state in it: it can be read, and agrees with
//! the rows.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{StoreFigures, Tree, vbucket_state};
use crate::couchstore::tools::surveyor::{Flaw, SurveyedNode, Surveyor};

use super::finding::{Finding, FindingKind};
use super::observer::CheckObserver;
use super::row_check::Prepares;

/// A surveyor that checks the local tree.
pub(crate) struct StateCheck<'a> {
    view: &'a CommitView,
    observer: &'a mut dyn CheckObserver,
    nodes: u64,
    /// The leaf of the state, and its figures.
    state: Option<(u64, StoreFigures)>,
}

impl<'a> StateCheck<'a> {
    pub(crate) fn new(view: &'a CommitView, observer: &'a mut dyn CheckObserver) -> Self {
        Self {
            view,
            observer,
            nodes: 0,
            state: None,
        }
    }

    /// Compares the state with the rows. Returns the number of nodes of the tree.
    pub(crate) fn finish(self, found: Prepares) -> u64 {
        if let Some((leaf, figures)) = self.state {
            let claimed = Prepares {
                count: figures.prepares,
                bytes: figures.prepare_bytes,
            };
            if claimed != found {
                let what = format!(
                    "the state counts {} prepares with {} bytes, there are {} with {}",
                    claimed.count, claimed.bytes, found.count, found.bytes
                );
                self.observer
                    .found(state_finding(FindingKind::Prepares, leaf, what));
            }
        }
        self.nodes
    }
}

fn state_finding(kind: FindingKind, leaf: u64, what: String) -> Finding {
    Finding {
        key: Some(Bytes::from_static(vbucket_state::NAME)),
        ..Finding::new(kind, leaf, what).in_tree(Tree::Local)
    }
}

impl Surveyor for StateCheck<'_> {
    fn node(&mut self, _: SurveyedNode) {
        self.nodes += 1;
    }

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        if &key[..] != vbucket_state::NAME {
            return Ok(());
        }
        match vbucket_state::decode(value) {
            Ok((state, figures)) => {
                let high = self.view.header.update_seq;
                if state.snapshot_start > state.snapshot_end {
                    let (start, end) = (state.snapshot_start, state.snapshot_end);
                    let what = format!("its snapshot starts at {start} and ends at {end}");
                    self.observer
                        .found(state_finding(FindingKind::State, leaf, what));
                }
                if state.max_visible_seqno.0 > high {
                    let what = format!(
                        "visible seqno {} is above the high seqno {high}",
                        state.max_visible_seqno
                    );
                    self.observer
                        .found(state_finding(FindingKind::State, leaf, what));
                }
                self.state = Some((leaf, figures));
            }
            Err(what) => self
                .observer
                .found(state_finding(FindingKind::State, leaf, what)),
        }
        if vbucket_state::lacks_namespaces(value) {
            let what =
                "keys have no collection prefix; they are read as if they had one".to_owned();
            self.observer
                .found(state_finding(FindingKind::Namespaces, leaf, what));
        }
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        self.observer.found(Finding::of_flaw(Tree::Local, flaw));
    }
}

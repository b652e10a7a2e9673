//! Changes of a file other than saving: removing rows, and going back to an earlier commit.

use crate::contract::EngineError;
use crate::couchstore::btree::Action;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, Tree, by_seqno};

use super::Writer;

impl Writer {
    /// Derives the next commit from `commit`, an earlier one of this file, with its trees and
    /// figures.
    pub(crate) fn rewind(&mut self, commit: &CommitView) {
        self.header = commit.header.clone();
        self.base = commit.position;
    }

    /// Removes rows from both indexes. The highest seqno ever saved stays.
    pub(crate) fn remove(&mut self, rows: &[DocInfo]) -> Result<(), EngineError> {
        let mut by_id: Vec<Action> = rows
            .iter()
            .map(|info| Action {
                key: info.id.clone(),
                value: None,
            })
            .collect();
        by_id.sort_by(|a, b| a.key.cmp(&b.key));
        let mut by_seqno: Vec<Action> = rows
            .iter()
            .map(|info| Action {
                key: by_seqno::key(info.seqno),
                value: None,
            })
            .collect();
        by_seqno.sort_by(|a, b| a.key.cmp(&b.key));
        self.attempt(|writer| {
            writer.modify(Tree::ById, &by_id, &mut |_, _| Ok(()))?;
            writer.modify(Tree::BySeqno, &by_seqno, &mut |_, _| Ok(()))
        })
    }

    /// Raises the purge seqno, if it is lower.
    pub(crate) fn raise_purge_seq(&mut self, purge_seq: u64) {
        self.header.purge_seq = self.header.purge_seq.max(purge_seq);
    }

    /// Sets the highest tombstone ever purged.
    pub(crate) fn set_purge_seq(&mut self, purge_seq: u64) {
        self.header.purge_seq = purge_seq;
    }
}

//! The rows of a commit: one by its stored key, or all in the order of either index.

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::btree::{self, Walk};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, Tree, by_id, by_seqno};

impl CommitView {
    /// Returns the row of a stored key.
    pub(crate) fn doc_info(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        let Some(value) = btree::lookup(self, Tree::ById, id)? else {
            return Ok(None);
        };
        let info = by_id::decode(id, &value);
        info.map(Some).ok_or_else(|| self.corrupt_row(Tree::ById))
    }

    /// Returns the rows from a seqno on, in the order of seqnos.
    pub(crate) fn rows(&self, from: Seqno) -> Result<Rows<'_>, EngineError> {
        Ok(Rows {
            view: self,
            walk: Walk::from(self, Tree::BySeqno, &by_seqno::first_key(from))?,
        })
    }

    /// Returns the rows from a stored key on, in the order of keys.
    pub(crate) fn rows_by_id(
        &self,
        from: &[u8],
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        let walk = Walk::from(self, Tree::ById, from)?;
        Ok(walk.map(|entry| {
            let entry = entry?;
            by_id::decode(&entry.key, &entry.value).ok_or_else(|| self.corrupt_row(Tree::ById))
        }))
    }
}

/// Rows in the order of seqnos.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    view: &'a CommitView,
    walk: Walk<'a>,
}

impl Iterator for Rows<'_> {
    type Item = Result<DocInfo, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.walk.next()?.and_then(|entry| {
            by_seqno::decode(&entry.key, &entry.value)
                .ok_or_else(|| self.view.corrupt_row(Tree::BySeqno))
        }))
    }
}

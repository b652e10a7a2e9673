//! The choice between two rows that the indexes contradict each other about.

use crate::contract::EngineError;
use crate::couchstore::format::DocInfo;
use crate::couchstore::tools::salvage::disputed_rows::{self, Grade};

use super::{Doubtful, RowCopy};

impl RowCopy<'_, '_> {
    /// Copies a row of the by-seqno index, or the by-id index's row in its place.
    pub(super) fn resolve(&mut self, leaf: u64, info: DocInfo) -> Result<(), EngineError> {
        let is_late = info.seqno <= self.last;
        if !self.disputed.indexes_differ() {
            return self.as_told(leaf, info, is_late);
        }
        // A row out of order counts if the other index agrees: two documents cannot have one seqno.
        if self.is_confirmed(&info)? {
            return self.as_told(leaf, info, false);
        }
        let other = self
            .by_id_row(&info.id)?
            .filter(|other| other.seqno != info.seqno);
        if let Some(other) = &other
            && disputed_rows::is_agreed(self.view, other)?
        {
            self.contradicted(leaf, &info);
            return Ok(());
        }
        if is_late {
            let what = "its seqno is not above the one before".to_owned();
            self.doubtful.push(Doubtful {
                offset: leaf,
                info,
                what,
            });
            return Ok(());
        }
        let Some(claim) = self.disputed.take(info.seqno, Some(&info.id)) else {
            other.iter().for_each(|other| self.disputed.forget(other));
            return self.as_told(leaf, info, false);
        };
        self.last = info.seqno;
        let ours = self.disputed.grade(self.view, &info)?;
        let theirs = self.disputed.grade(self.view, &claim)?;
        if ours > theirs || theirs == Grade::Unsound {
            other.iter().for_each(|other| self.disputed.forget(other));
            return self.as_told(leaf, info, false);
        }
        if ours == theirs {
            let what = "the by-id index has different data for it, which were saved".to_owned();
            self.doubt(leaf, &info, what);
        }
        self.copy_disputed(leaf, claim)
    }

    /// Reports a row whose document both indexes have at another seqno. The by-id index's row at
    /// this seqno counts instead.
    fn contradicted(&mut self, leaf: u64, info: &DocInfo) {
        if !self.disputed.has(info.seqno) {
            self.doubt(
                leaf,
                info,
                "both indexes have its document at another seqno".to_owned(),
            );
        }
    }

    fn as_told(&mut self, leaf: u64, info: DocInfo, is_late: bool) -> Result<(), EngineError> {
        if is_late && !self.is_confirmed(&info)? {
            self.lost(
                leaf,
                &info,
                "its seqno is not above the one before".to_owned(),
            );
            return Ok(());
        }
        self.last = self.last.max(info.seqno);
        if let Some((offset, what)) = self.put(leaf, &info)? {
            self.doubtful.push(Doubtful { offset, info, what });
        }
        Ok(())
    }

    fn by_id_row(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        match self.view.doc_info(id) {
            Err(EngineError::Corrupt { .. }) => Ok(None),
            found => found,
        }
    }

    /// Copies rows that only the by-id index has, unless the by-seqno index has an agreed row at
    /// their seqno.
    pub(super) fn rest_of_disputed(&mut self) -> Result<(), EngineError> {
        let leaf = self
            .view
            .header
            .by_id
            .map_or(self.view.position, |root| root.position);
        for info in std::mem::take(&mut self.disputed).into_rest() {
            if self.gaps.of(info.seqno).is_some() {
                continue;
            }
            match disputed_rows::by_seqno_row(self.view, info.seqno)? {
                Some(other) if disputed_rows::is_agreed(self.view, &other)? => {
                    self.lost(
                        leaf,
                        &info,
                        "both indexes have another document at its seqno".to_owned(),
                    );
                }
                _ => self.copy_disputed(leaf, info)?,
            }
        }
        Ok(())
    }

    /// Returns whether the by-id index has the same row.
    fn is_confirmed(&self, info: &DocInfo) -> Result<bool, EngineError> {
        match self.view.doc_info(&info.id) {
            Ok(found) => Ok(found.as_ref() == Some(info)),
            Err(EngineError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

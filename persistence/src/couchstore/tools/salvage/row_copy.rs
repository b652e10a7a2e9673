//! Copying the rows and bodies of a damaged file: by seqno first, then by key for those that are
//! missing.

mod resolve;

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Extents};
use crate::couchstore::format::{DocInfo, Document, StoreFigures, Tree, by_id, by_seqno, document};
use crate::couchstore::tools::surveyor::{Flaw, FlawKind, SurveyedNode, Surveyor};
use crate::couchstore::tools::tree_survey;
use crate::couchstore::write::Writer;

use super::disputed_rows::DisputedRows;
use super::gaps::Gaps;
use super::loss::{CountingObserver, Loss, SalvageObserver};

/// Rows, and bytes of bodies, at which a batch is saved.
const BATCH_ROWS: usize = 20_000;
const BATCH_BYTES: usize = 32 << 20;

/// The result of the copy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) found_by_key: u64,
    /// Figures of the copied rows for the vBucket's state.
    pub(crate) figures: StoreFigures,
}

/// A copy in progress.
pub(crate) struct RowCopy<'a, 'o> {
    view: &'a CommitView,
    writer: Writer,
    observer: &'a mut CountingObserver<'o>,
    /// By stored key, because a key may be in a batch only once.
    batch: BTreeMap<Bytes, Document>,
    batch_bytes: usize,
    rows: Rows,
    /// Rows of the by-seqno index, readable or not.
    seen: u64,
    /// Highest seqno of the by-seqno index so far.
    last: Seqno,
    gaps: Gaps,
    /// Whether a part of the by-id index cannot be read.
    by_id_damaged: bool,
    /// Index that is being read.
    tree: Tree,
    /// Rows of the by-id index that differ from the by-seqno index.
    disputed: DisputedRows,
    /// Rows that cannot be saved, unless the by-id index has their documents at another seqno.
    doubtful: Vec<Doubtful>,
}

/// A row of the by-seqno index that cannot be saved.
struct Doubtful {
    offset: u64,
    info: DocInfo,
    what: String,
}

impl<'a, 'o> RowCopy<'a, 'o> {
    pub(crate) fn new(
        view: &'a CommitView,
        writer: Writer,
        observer: &'a mut CountingObserver<'o>,
    ) -> Self {
        Self {
            view,
            writer,
            observer,
            batch: BTreeMap::new(),
            batch_bytes: 0,
            rows: Rows::default(),
            seen: 0,
            last: Seqno::ZERO,
            gaps: Gaps::default(),
            by_id_damaged: false,
            tree: Tree::BySeqno,
            disputed: DisputedRows::default(),
            doubtful: Vec::new(),
        }
    }

    /// Copies every row that one of the indexes has.
    pub(crate) fn rows(&mut self) -> Result<(), EngineError> {
        let view = self.view;
        self.disputed = DisputedRows::of(view)?;
        tree_survey::survey(view, Tree::BySeqno, &mut Extents::default(), self)?;
        self.rest_of_disputed()?;
        if !self.gaps.is_empty() {
            self.tree = Tree::ById;
            tree_survey::survey(view, Tree::ById, &mut Extents::default(), self)?;
        }
        for Doubtful { offset, info, what } in std::mem::take(&mut self.doubtful) {
            self.lost(offset, &info, what);
        }
        Ok(())
    }

    /// Saves the last batch, and reports the rows of gaps that were not found. Returns the writer.
    pub(crate) fn finish(mut self) -> Result<(Writer, Rows), EngineError> {
        self.save()?;
        for gap in std::mem::take(&mut self.gaps).into_iter() {
            let rows = gap.rows.map(|rows| rows.saturating_sub(gap.found));
            // A by-id index without damage has all rows there are.
            if rows == Some(0) || rows.is_none() && !self.by_id_damaged {
                continue;
            }
            let what = format!("{}: {} found by key", gap.what, gap.found);
            let seqnos = Some((
                gap.first,
                gap.last
                    .min(Seqno(self.view.header.update_seq))
                    .max(gap.first),
            ));
            self.observer.lost(Loss {
                offset: gap.position,
                seqnos,
                key: None,
                rows,
                what,
            });
        }
        Ok((self.writer, self.rows))
    }

    fn save(&mut self) -> Result<(), EngineError> {
        let mut documents: Vec<Document> = std::mem::take(&mut self.batch).into_values().collect();
        self.batch_bytes = 0;
        if documents.is_empty() {
            return Ok(());
        }
        documents.sort_by_key(|document| document.info.seqno);
        let saved = self.writer.save(documents)?;
        saved.count_prepares(&mut self.rows.figures);
        Ok(())
    }

    /// Copies one row, or reports why it is lost. Returns whether it was copied.
    fn copy(&mut self, leaf: u64, info: DocInfo) -> Result<bool, EngineError> {
        let Some((offset, what)) = self.put(leaf, &info)? else {
            return Ok(true);
        };
        self.lost(offset, &info, what);
        Ok(false)
    }

    /// Copies one row. Returns the offset and the description of the flaw that prevents it.
    fn put(&mut self, leaf: u64, info: &DocInfo) -> Result<Option<(u64, String)>, EngineError> {
        let body = match self.view.body(info) {
            Ok(body) => body,
            Err(EngineError::Corrupt { offset, what, .. }) => return Ok(Some((offset, what))),
            Err(error) => return Err(error),
        };
        // Without a body the row would be saved as a tombstone.
        if body.is_none() && !info.deleted {
            return Ok(Some((leaf, document::NO_BODY.to_owned())));
        }
        if let Err(what) = document::to_item(info, None) {
            return Ok(Some((leaf, what.to_owned())));
        }
        if info.seqno == Seqno::ZERO {
            return Ok(Some((leaf, "its seqno is 0".to_owned())));
        }
        self.batch_bytes += body.as_ref().map_or(0, Bytes::len);
        let info = DocInfo {
            body_position: 0,
            physical_bytes: 0,
            ..info.clone()
        };
        self.batch.insert(info.id.clone(), Document { info, body });
        if self.batch.len() >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
            self.save()?;
        }
        Ok(None)
    }

    /// Copies a row that only the by-id index has.
    fn copy_disputed(&mut self, leaf: u64, info: DocInfo) -> Result<(), EngineError> {
        let copied = self.copy(leaf, info.clone())?;
        self.rows.found_by_key += u64::from(copied);
        if copied {
            self.doubtful.retain(|doubtful| doubtful.info.id != info.id);
        }
        Ok(())
    }

    fn lost(&mut self, offset: u64, info: &DocInfo, what: String) {
        let (seqnos, key) = (Some((info.seqno, info.seqno)), Some(info.id.clone()));
        self.observer.lost(Loss {
            offset,
            seqnos,
            key,
            rows: Some(1),
            what,
        });
    }

    /// Reports a saved row that one of the indexes has differently.
    fn doubt(&mut self, offset: u64, info: &DocInfo, what: String) {
        let (seqnos, key) = (Some((info.seqno, info.seqno)), Some(info.id.clone()));
        self.observer.lost(Loss {
            offset,
            seqnos,
            key,
            rows: Some(0),
            what,
        });
    }

    fn lost_row(&mut self, leaf: u64, key: Option<Bytes>, what: &str) {
        self.observer.lost(Loss {
            offset: leaf,
            seqnos: None,
            key,
            rows: Some(1),
            what: what.to_owned(),
        });
    }

    fn row_by_seqno(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        self.seen += 1;
        let info = self.view.info();
        self.observer
            .progress(self.seen, info.items.saturating_add(info.deleted));
        let Some(info) = by_seqno::decode(key, value) else {
            match by_seqno::seqno(key).and_then(|seqno| self.disputed.take(seqno, None)) {
                Some(claim) => self.copy_disputed(leaf, claim)?,
                None => self.lost_row(leaf, None, "row is too short"),
            }
            return Ok(());
        };
        self.resolve(leaf, info)
    }

    /// Copies a row of the by-id index if it fills a gap of the other.
    fn row_by_id(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let Some(info) = by_id::decode(key, value) else {
            return Ok(());
        };
        let seqno = info.seqno;
        if self.gaps.of(seqno).is_none() {
            return Ok(());
        }
        // A lost body is reported with its row.
        self.copy_disputed(leaf, info)?;
        if let Some(gap) = self.gaps.of(seqno) {
            gap.found += 1;
        }
        Ok(())
    }
}

impl Surveyor for RowCopy<'_, '_> {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        match self.tree {
            Tree::BySeqno => self.row_by_seqno(leaf, key, value),
            _ => self.row_by_id(leaf, key, value),
        }
    }

    fn flaw(&mut self, flaw: Flaw) {
        // Other flaws of a tree do not prevent its rows from being read.
        let (FlawKind::Lost(lost) | FlawKind::Overlap(lost)) = flaw.kind else {
            return;
        };
        match self.tree {
            Tree::BySeqno => {
                let what = format!("rows of the by-seqno tree: {}", flaw.what);
                self.gaps.add(&lost, flaw.position, what);
            }
            _ => self.by_id_damaged = true,
        }
    }
}

//! Rows that the two indexes contradict each other about, and the choice between them.
//!
//! Both indexes were made of the same rows, so one of two different rows is wrong. The rules, in
//! this order:
//! 1. A row that both indexes have is right, and so are its key, its seqno and the place of its
//!    body. Another row with one of these is wrong.
//! 2. Of two rows for one seqno the better [`Grade`] wins.
//! 3. If nothing distinguishes them, the by-id index wins, whose pointers sum up more of a row. The
//!    doubt is reported.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::btree;
use crate::couchstore::file::{CommitView, Extents, chunk};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, Tree, block, by_id, by_seqno};
use crate::couchstore::tools::check::{Digest, row_flaws};
use crate::couchstore::tools::surveyor::{Flaw, SurveyedNode, Surveyor};
use crate::couchstore::tools::tree_survey;

/// The evidence for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// The row cannot be saved.
    Unsound,
    /// The row can be saved, but its size is not that of its body, or its body is another row's.
    Odd,
    Sound,
}

/// Rows of the by-id index that the by-seqno index does not have, or has differently.
#[derive(Debug, Default)]
pub(crate) struct DisputedRows {
    by_seqno: BTreeMap<Seqno, Vec<DocInfo>>,
    /// Bodies of the rows that both indexes have.
    agreed: Extents,
    /// Whether the indexes differ.
    indexes_differ: bool,
}

impl DisputedRows {
    /// Collects the disputed rows of a commit. O(1) memory if both indexes hold the same rows, else
    /// that of the disputed rows and a 64th of the file.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn of(view: &CommitView) -> Result<Self, EngineError> {
        let [by_seqno, by_id] = [digest(view, Tree::BySeqno)?, digest(view, Tree::ById)?];
        if by_seqno == by_id {
            return Ok(Self::default());
        }
        let mut collector = Collector {
            view,
            disputed: Self {
                indexes_differ: true,
                ..Self::default()
            },
        };
        tree_survey::survey(view, Tree::ById, &mut Extents::default(), &mut collector)?;
        Ok(collector.disputed)
    }

    /// Returns whether the indexes differ.
    pub(crate) const fn indexes_differ(&self) -> bool {
        self.indexes_differ
    }

    /// Takes the by-id index's row for a seqno, that of `id` if there are several.
    pub(crate) fn take(&mut self, seqno: Seqno, id: Option<&Bytes>) -> Option<DocInfo> {
        let rows = self.by_seqno.get_mut(&seqno)?;
        let index = rows
            .iter()
            .position(|row| Some(&row.id) == id)
            .unwrap_or_default();
        let row = (index < rows.len()).then(|| rows.swap_remove(index));
        if rows.is_empty() {
            self.by_seqno.remove(&seqno);
        }
        row
    }

    /// Returns whether the by-id index has a disputed row for this seqno.
    pub(crate) fn has(&self, seqno: Seqno) -> bool {
        self.by_seqno
            .get(&seqno)
            .is_some_and(|rows| !rows.is_empty())
    }

    /// Removes a row that was saved otherwise.
    pub(crate) fn forget(&mut self, row: &DocInfo) {
        if let Some(rows) = self.by_seqno.get_mut(&row.seqno) {
            rows.retain(|other| other.id != row.id);
        }
    }

    /// Returns the remaining rows.
    pub(crate) fn into_rest(self) -> impl Iterator<Item = DocInfo> {
        self.by_seqno.into_values().flatten()
    }

    /// Grades a row.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn grade(&self, view: &CommitView, info: &DocInfo) -> Result<Grade, EngineError> {
        if !row_flaws::flaws(u64::MAX, info).is_empty() {
            return Ok(Grade::Unsound);
        }
        if info.body_position == 0 {
            return Ok(Grade::Sound);
        }
        let hint = info.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = match chunk::read(&view.source, info.body_position, hint, view.position) {
            Ok(stored) => stored,
            Err(EngineError::Corrupt { .. }) => return Ok(Grade::Unsound),
            Err(error) => return Err(error),
        };
        if row_flaws::body_flaw(info, &stored).is_some() {
            return Ok(Grade::Unsound);
        }
        let disk_bytes = chunk::disk_bytes(&view.source, &stored);
        let (start, end) = block::extent(info.body_position, disk_bytes);
        let is_its_own = self.agreed.is_free(start, end);
        let is_right = is_its_own && row_flaws::is_plausible(info.physical_bytes, disk_bytes);
        Ok(if is_right { Grade::Sound } else { Grade::Odd })
    }
}

/// Returns whether both indexes have exactly this row.
///
/// # Errors
/// [`EngineError::Disk`].
pub(crate) fn is_agreed(view: &CommitView, info: &DocInfo) -> Result<bool, EngineError> {
    let by_id = found(btree::lookup(view, Tree::ById, &info.id))?;
    if by_id
        .and_then(|value| by_id::decode(&info.id, &value))
        .as_ref()
        != Some(info)
    {
        return Ok(false);
    }
    Ok(by_seqno_row(view, info.seqno)?.as_ref() == Some(info))
}

/// Returns the by-seqno index's row for a seqno, if it can be read.
///
/// # Errors
/// [`EngineError::Disk`].
pub(crate) fn by_seqno_row(
    view: &CommitView,
    seqno: Seqno,
) -> Result<Option<DocInfo>, EngineError> {
    let key = by_seqno::key(seqno);
    let value = found(btree::lookup(view, Tree::BySeqno, &key))?;
    Ok(value.and_then(|value| by_seqno::decode(&key, &value)))
}

/// Treats an entry behind damage as missing.
fn found(looked_up: Result<Option<Bytes>, EngineError>) -> Result<Option<Bytes>, EngineError> {
    match looked_up {
        Err(EngineError::Corrupt { .. }) => Ok(None),
        looked_up => looked_up,
    }
}

/// Returns the digest of an index, or `None` if a part of it cannot be read.
fn digest(view: &CommitView, tree: Tree) -> Result<Option<Digest>, EngineError> {
    let mut sum = Sum {
        tree,
        digest: Digest::default(),
        is_whole: true,
    };
    tree_survey::survey(view, tree, &mut Extents::default(), &mut sum)?;
    Ok(sum.is_whole.then_some(sum.digest))
}

struct Sum {
    tree: Tree,
    digest: Digest,
    is_whole: bool,
}

impl Surveyor for Sum {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, _: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        match row_flaws::decode(self.tree, key, value) {
            Some(info) => self.digest.add(&info),
            None => self.is_whole = false,
        }
        Ok(())
    }

    fn flaw(&mut self, _: Flaw) {
        self.is_whole = false;
    }
}

struct Collector<'a> {
    view: &'a CommitView,
    disputed: DisputedRows,
}

impl Surveyor for Collector<'_> {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, _: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let Some(info) = by_id::decode(key, value) else {
            return Ok(());
        };
        let key = by_seqno::key(info.seqno);
        let other = match btree::lookup(self.view, Tree::BySeqno, &key) {
            Ok(value) => value.and_then(|value| by_seqno::decode(&key, &value)),
            // The row lies in a gap, which is filled by key.
            Err(EngineError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if other.as_ref() != Some(&info) {
            self.disputed
                .by_seqno
                .entry(info.seqno)
                .or_default()
                .push(info);
        } else if info.body_position != 0 {
            let (start, end) =
                block::extent(info.body_position, info.physical_bytes.max(HEAD_BYTES));
            // If two agreed rows name one place, both are saved.
            let _ = self.disputed.agreed.take(start, end);
        }
        Ok(())
    }

    fn flaw(&mut self, _: Flaw) {}
}

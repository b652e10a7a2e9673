//! The audit of a compaction's source while it is copied: the first contradiction ends the
//! compaction.
//!
//! # Invariants
//!
//! E13. A compaction removes the old file, so damage under right checksums would become a loss, or
//! look sound. It therefore verifies what `check` verifies of a commit's rows:
//! - each row by itself, and each body under its checksum and its compression;
//! - the keys, depth and sums of both trees;
//! - that both indexes hold the same rows;
//! - that no body overlaps a node or another body.
//!
//! Some parts are not verified. The body of a purged row is not read, because it is not copied.
//! Neither are headers before the newest one. Unreadable nodes of the by-id tree are no obstacle:
//! nothing is lost with them, and that index is built again. Each readable row of it must be the
//! by-seqno index's.
//!
//! Memory does not grow with the source: an index is summed up in a digest, and places are sorted
//! like rows (`sort`).

mod notes;
mod row_checks;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant as _, violated};

use crate::contract::{Budget, EngineError};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::fields::put;
use crate::couchstore::format::{DocInfo, Fields, Tree, block};
use crate::couchstore::store::file_names;
use crate::couchstore::tools::check::index_comparison;
use crate::couchstore::tools::{Digest, Finding, FindingKind, Survey, SurveyedRow};
use crate::numbers::to_u64;

use super::files::Create;
use super::sort::{Sorted, Sorter};

use self::notes::Notes;
use self::row_checks::{decoded, refusal};

pub(super) use self::row_checks::{check_body, check_row};

/// Number of the first run of places, above those of all runs of rows.
const FIRST_RUN: usize = 1 << 30;
/// Rows or places that count as one copied item in a step's budget.
const CHECKS_PER_ITEM: u64 = 8;
/// Size of a place as a key: its start and its end.
const PLACE_BYTES: u64 = 16;

/// An audit in progress.
#[derive(Debug)]
pub(super) struct Audit {
    phase: Phase,
    notes: Notes,
    by_seqno: Digest,
    by_id: Digest,
    /// Whether a part of the by-id index cannot be read.
    by_id_damaged: bool,
    /// Places of bodies and nodes, until they are sorted.
    places: Option<Sorter>,
    target: std::path::PathBuf,
}

/// The part of the source that is being verified.
#[derive(Debug)]
enum Phase {
    /// The by-seqno tree, whose rows go on to the target.
    BySeqno(Survey),
    ById(Survey),
    Local(Survey),
    Places {
        sorted: Sorted,
        end: u64,
    },
    /// The search for the row at fault: the digests differ.
    Search(Tree, Survey),
    Over,
}

impl Audit {
    /// Begins an audit of `view`, which is copied to `target`.
    pub(super) fn new(view: &CommitView, target: &std::path::Path, sort_bytes: usize) -> Self {
        Self {
            phase: Phase::BySeqno(Survey::new(view, Tree::BySeqno)),
            notes: Notes::new(Tree::BySeqno),
            by_seqno: Digest::default(),
            by_id: Digest::default(),
            by_id_damaged: false,
            places: Some(Sorter::new(sort_bytes, FIRST_RUN)),
            target: target.to_path_buf(),
        }
    }

    /// Returns the next row by seqno, which is sound by itself.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] for a flaw of the row or of a node before it;
    /// [`EngineError::Disk`].
    pub(super) fn next_row(
        &mut self,
        view: &CommitView,
        create: Create<'_>,
    ) -> Result<Option<DocInfo>, EngineError> {
        let Phase::BySeqno(survey) = &mut self.phase else {
            return Ok(None);
        };
        let row = survey.next(view, None, &mut self.notes)?;
        self.take_notes(view, create)?;
        let Some(row) = row else {
            self.turn_to(view, Tree::ById);
            return Ok(None);
        };
        let info = decoded(view, Tree::BySeqno, &row)?;
        check_row(view, row.leaf, &info)?;
        self.by_seqno.add(&info);
        Ok(Some(info))
    }

    /// Notes the place of a copied body in the source.
    pub(super) fn body(
        &mut self,
        view: &CommitView,
        position: u64,
        disk_bytes: u64,
        create: Create<'_>,
    ) -> Result<(), EngineError> {
        let (start, end) = block::extent(position, disk_bytes);
        self.place(view, start, end, create)
    }

    /// Verifies the rest, after the last row, as far as the budget allows. Returns whether that was
    /// all.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if the source contradicts itself; [`EngineError::Disk`].
    pub(super) fn step(
        &mut self,
        view: &CommitView,
        create: Create<'_>,
        budget: &mut Budget,
    ) -> Result<bool, EngineError> {
        loop {
            let mut bytes = 0_u64;
            for _ in 0..CHECKS_PER_ITEM {
                let Some(more) = self.advance(view, create)? else {
                    return Ok(true);
                };
                bytes = bytes.saturating_add(more);
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
    }

    /// Verifies one more row or place. Returns its cost in bytes, or `None` at the end.
    fn advance(
        &mut self,
        view: &CommitView,
        create: Create<'_>,
    ) -> Result<Option<u64>, EngineError> {
        match &mut self.phase {
            Phase::BySeqno(_) => {
                let violation = violated("E13", "rows are copied before the rest is verified");
                Err(view.source.internal(violation))
            }
            Phase::Over => Ok(None),
            Phase::ById(survey) => {
                let row = survey.next(view, None, &mut self.notes)?;
                self.take_notes(view, create)?;
                let Some(row) = row else {
                    self.by_id_damaged = self.notes.lost;
                    self.turn_to(view, Tree::Local);
                    return Ok(Some(0));
                };
                let info = decoded(view, Tree::ById, &row)?;
                self.by_id.add(&info);
                Ok(Some(to_u64(row.key.len() + row.value.len())))
            }
            Phase::Local(survey) => {
                let row = survey.next(view, None, &mut self.notes)?;
                self.take_notes(view, create)?;
                match row {
                    Some(row) => Ok(Some(to_u64(row.key.len() + row.value.len()))),
                    None => self.compare(view),
                }
            }
            Phase::Places { sorted, end } => {
                let Some((place, _)) = sorted.next()? else {
                    self.phase = Phase::Over;
                    return Ok(None);
                };
                let mut fields = Fields::new(&place);
                let (start, to) = fields
                    .uint(8)
                    .zip(fields.uint(8))
                    .invariant("E13", "a place has a start and an end")
                    .map_err(|violation| view.source.internal(violation))?;
                if start < *end {
                    let what = "body or node overlaps something else".to_owned();
                    return Err(refusal(
                        view,
                        &Finding::new(FindingKind::Overlap, start, what),
                    ));
                }
                *end = to;
                Ok(Some(PLACE_BYTES))
            }
            Phase::Search(tree, survey) => {
                let tree = *tree;
                let row = survey.next(view, None, &mut self.notes)?;
                // The first pass has already reported these.
                self.notes = Notes::new(tree);
                match row {
                    Some(row) => self.search(view, tree, &row).map(Some),
                    None if tree == Tree::BySeqno => {
                        self.phase = Phase::Search(Tree::ById, Survey::new(view, Tree::ById));
                        Ok(Some(0))
                    }
                    None if self.by_id_damaged => self.turn_to_places(view),
                    None => {
                        let what = "the indexes don't hold the same rows".to_owned();
                        Err(refusal(
                            view,
                            &Finding::new(FindingKind::Index, view.position, what),
                        ))
                    }
                }
            }
        }
    }

    /// Compares a row with the other index. Returns its cost in bytes.
    fn search(&self, view: &CommitView, tree: Tree, row: &SurveyedRow) -> Result<u64, EngineError> {
        let info = decoded(view, tree, row)?;
        let mut what = index_comparison::difference(view, tree, &info)?;
        if what.is_none()
            && self.by_id_damaged
            && index_comparison::other(view, tree, &info)?.as_ref() != Some(&info)
        {
            what = Some("the by-seqno index has different data for it");
        }
        what.map_or(Ok(to_u64(row.key.len() + row.value.len())), |what| {
            let finding = Finding::new(FindingKind::Index, row.leaf, what.to_owned());
            Err(refusal(
                view,
                &finding.in_tree(tree).of_row(info.seqno, &info.id),
            ))
        })
    }

    fn turn_to(&mut self, view: &CommitView, tree: Tree) {
        self.notes = Notes::new(tree);
        let survey = Survey::new(view, tree);
        self.phase = if tree == Tree::ById {
            Phase::ById(survey)
        } else {
            Phase::Local(survey)
        };
    }

    /// Compares the digests of both indexes.
    fn compare(&mut self, view: &CommitView) -> Result<Option<u64>, EngineError> {
        if self.by_seqno == self.by_id {
            return self.turn_to_places(view);
        }
        // If a part of the by-id index is unreadable, only the rest of it can be compared.
        let first = if self.by_id_damaged {
            Tree::ById
        } else {
            Tree::BySeqno
        };
        self.phase = Phase::Search(first, Survey::new(view, first));
        Ok(Some(0))
    }

    fn turn_to_places(&mut self, view: &CommitView) -> Result<Option<u64>, EngineError> {
        let places = self
            .places
            .take()
            .invariant("E13", "places are sorted once")
            .map_err(|violation| view.source.internal(violation))?;
        self.phase = Phase::Places {
            sorted: places.finish()?,
            end: 0,
        };
        Ok(Some(0))
    }

    /// Takes the places of nodes from the notes, or the finding that ends the audit.
    fn take_notes(&mut self, view: &CommitView, create: Create<'_>) -> Result<(), EngineError> {
        if let Some(finding) = self.notes.found.take() {
            return Err(refusal(view, &finding));
        }
        while let Some((start, end)) = self.notes.nodes.pop() {
            self.place(view, start, end, create)?;
        }
        Ok(())
    }

    fn place(
        &mut self,
        view: &CommitView,
        start: u64,
        end: u64,
        create: Create<'_>,
    ) -> Result<(), EngineError> {
        let places = self
            .places
            .as_mut()
            .invariant("E13", "each place is noted before places are sorted")
            .map_err(|violation| view.source.internal(violation))?;
        let mut place = Vec::with_capacity(PLACE_BYTES as usize);
        put(&mut place, start, 8);
        put(&mut place, end, 8);
        let target = &self.target;
        places.push(place.into(), Bytes::new(), &mut |run| {
            create(&file_names::run(target, run))
        })
    }
}

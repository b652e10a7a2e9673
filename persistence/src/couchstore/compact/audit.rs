//! What a compaction verifies of its source while it copies: rows, nodes and places go in, the first contradiction comes out
//! as an error.
//!
//! E13. A compaction removes the old file, so whatever of it lies under right checksums would be lost or made to look sound.
//! It therefore verifies what `check` verifies of a commit's rows: each row by itself, each body under its checksum and its
//! compression, the keys, depth and sums of both trees, that both indexes hold the same rows, and that no body lies where a
//! node or another body is. A purged row's body is not read: it is given up. Headers before the newest are not followed:
//! a compaction gives them up as well. Nodes of the by-id tree that can't be read are no obstacle: nothing is lost with
//! them, and that index is made anew; each row of it that can be read must be the by-seqno index's.
//!
//! Memory does not grow with the source: an index is summed up in a digest, places are sorted like rows (`sort`).

mod notes;
mod row_checks;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::contract::{Budget, EngineError};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::fields::put;
use crate::couchstore::format::{DocInfo, Fields, Tree, block};
use crate::couchstore::store::file_names;
use crate::couchstore::tools::check::index_comparison;
use crate::couchstore::tools::{Digest, Finding, FindingKind, Survey, SurveyedRow};

use super::files::Create;
use super::sort::{Sorted, Sorter};

use self::notes::Notes;
use self::row_checks::{decoded, refusal};

pub(super) use self::row_checks::{check_body, check_row};

/// Runs of places have numbers that no run of rows reaches.
const FIRST_RUN: usize = 1 << 30;
/// So many rows or places are verified for what one copied item counts in a step's budget.
const THINGS_AN_ITEM: u64 = 8;
/// What a place takes as a key: where it begins and where it ends.
const PLACE_BYTES: u64 = 16;

/// One verification in progress.
#[derive(Debug)]
pub(super) struct Audit {
    phase: Phase,
    notes: Notes,
    by_seqno: Digest,
    by_id: Digest,
    /// A part of the by-id index can't be read.
    by_id_damaged: bool,
    /// Of bodies and nodes.
    places: Option<Sorter>,
    target: std::path::PathBuf,
}

/// What is looked at.
#[derive(Debug)]
enum Phase {
    /// Rows go from here to the target.
    BySeqno(Survey),
    ById(Survey),
    Local(Survey),
    Places {
        sorted: Sorted,
        end: u64,
    },
    /// The digests differ: which row is it?
    Search(Tree, Survey),
    Over,
}

impl Audit {
    /// Of `view`, which is copied to `target`.
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

    /// The next row by seqno, which is sound by itself.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] for what is wrong with it or with a node before it; [`EngineError::Disk`].
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

    /// Takes note of where a copied body lies in the source.
    pub(super) fn body(
        &mut self,
        position: u64,
        disk_bytes: u64,
        create: Create<'_>,
    ) -> Result<(), EngineError> {
        let (start, end) = block::extent(position, disk_bytes);
        self.place(start, end, create)
    }

    /// Verifies as much as the budget allows of what is left when all rows have come; whether that was all.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`]: the source contradicts itself; [`EngineError::Disk`].
    pub(super) fn step(
        &mut self,
        view: &CommitView,
        create: Create<'_>,
        budget: &mut Budget,
    ) -> Result<bool, EngineError> {
        loop {
            let mut bytes = 0_u64;
            for _ in 0..THINGS_AN_ITEM {
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

    /// Looks at one thing more; says what it took, `None` at the end.
    fn advance(
        &mut self,
        view: &CommitView,
        create: Create<'_>,
    ) -> Result<Option<u64>, EngineError> {
        match &mut self.phase {
            Phase::BySeqno(_) | Phase::Over => Ok(None),
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
                Ok(Some((row.key.len() + row.value.len()) as u64))
            }
            Phase::Local(survey) => {
                let row = survey.next(view, None, &mut self.notes)?;
                self.take_notes(view, create)?;
                match row {
                    Some(row) => Ok(Some((row.key.len() + row.value.len()) as u64)),
                    None => self.compare(view),
                }
            }
            Phase::Places { sorted, end } => {
                let Some((place, _)) = sorted.next()? else {
                    self.phase = Phase::Over;
                    return Ok(None);
                };
                let mut fields = Fields::new(&place);
                let (start, to) = (
                    fields.uint(8).unwrap_or_default(),
                    fields.uint(8).unwrap_or_default(),
                );
                if start < *end {
                    let what = "body or node lies where something else is".to_owned();
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
                // All of it was told before.
                self.notes = Notes::new(tree);
                match row {
                    Some(row) => self.search(view, tree, &row).map(Some),
                    None if tree == Tree::BySeqno => {
                        self.phase = Phase::Search(Tree::ById, Survey::new(view, Tree::ById));
                        Ok(Some(0))
                    }
                    None if self.by_id_damaged => self.turn_to_places(),
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

    /// Compares a row with the other index; says what it took.
    fn search(&self, view: &CommitView, tree: Tree, row: &SurveyedRow) -> Result<u64, EngineError> {
        let info = decoded(view, tree, row)?;
        let mut what = index_comparison::difference(view, tree, &info)?;
        if what.is_none()
            && self.by_id_damaged
            && index_comparison::other(view, tree, &info)?.as_ref() != Some(&info)
        {
            what = Some("the by-seqno index says other things of it");
        }
        what.map_or(Ok((row.key.len() + row.value.len()) as u64), |what| {
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

    /// Both indexes have been summed up.
    fn compare(&mut self, view: &CommitView) -> Result<Option<u64>, EngineError> {
        if self.by_seqno == self.by_id {
            return self.turn_to_places();
        }
        // Where not all of the by-id index is there, only what is there can be compared.
        let first = if self.by_id_damaged {
            Tree::ById
        } else {
            Tree::BySeqno
        };
        self.phase = Phase::Search(first, Survey::new(view, first));
        Ok(Some(0))
    }

    fn turn_to_places(&mut self) -> Result<Option<u64>, EngineError> {
        let Some(places) = self.places.take() else {
            return Ok(None);
        };
        self.phase = Phase::Places {
            sorted: places.finish()?,
            end: 0,
        };
        Ok(Some(0))
    }

    /// Takes over what a survey has told: places of nodes, or what ends this.
    fn take_notes(&mut self, view: &CommitView, create: Create<'_>) -> Result<(), EngineError> {
        if let Some(finding) = self.notes.found.take() {
            return Err(refusal(view, &finding));
        }
        while let Some((start, end)) = self.notes.nodes.pop() {
            self.place(start, end, create)?;
        }
        Ok(())
    }

    fn place(&mut self, start: u64, end: u64, create: Create<'_>) -> Result<(), EngineError> {
        let Some(places) = &mut self.places else {
            return Ok(());
        };
        let mut place = Vec::with_capacity(PLACE_BYTES as usize);
        put(&mut place, start, 8);
        put(&mut place, end, 8);
        let target = &self.target;
        places.push(place.into(), Bytes::new(), &mut |run| {
            create(&file_names::run(target, run))
        })
    }
}
